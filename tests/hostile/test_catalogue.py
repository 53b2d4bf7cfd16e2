"""Where each hostile case of the project's catalogue is tested.

The global oracle (tests/hostile/oracle.py): frames in are packets, frames without IP or undecodable; clients' bytes
add up to the packets' IP bytes; nothing raises; tables keep to their caps; a healthy client beside the attack gets the
same result, byte for byte.

D1   tests/hostile/test_mutate.py::test_two_million_mutated_frames
     tests/hostile/test_mutate.py::test_crafted_frames_where_the_shared_captures_are_not
     tests/decode/test_headers_truth.py::test_mutated_real_frames_decode_as_the_reference_says
D2   tests/hostile/test_mutate.py::test_every_capture_cut_at_every_byte
D4   tests/hostile/cases.py::d4_names_that_never_end
     tests/decode/test_dns.py::test_a_name_that_is_none_is_left_unnamed
     tests/decode/test_dns.py::test_nothing_is_read_behind_a_name_without_an_end
     tests/decode/test_dns.py::test_two_pointers_at_each_other
     tests/decode/test_dns.py::test_a_chain_of_pointers
     tests/decode/test_dns.py::test_the_root_is_no_name_for_an_address
D5   tests/hostile/cases.py::d5_the_largest_answer
     tests/decode/test_dns.py::test_the_largest_message_costs_little
     tests/decode/test_messages.py::test_the_largest_answer_over_tcp_and_the_one_behind_it
D6   tests/hostile/cases.py::d6_many_addresses_and_odd_lives
     tests/decode/test_dns.py::test_4096_addresses_for_one_name
     tests/decode/test_dns.py::test_ttl_is_clamped
D7   tests/hostile/cases.py::d7_aliases_in_circles
     tests/decode/test_dns.py::test_long_alias_chains_are_not_followed
     tests/decode/test_dns.py::test_alias_loops_end
D8   tests/hostile/cases.py::d8_next_to_nothing
     tests/hostile/test_cases.py::test_messages_of_next_to_nothing_say_nothing
     tests/decode/test_messages.py::test_noise_on_port_53
D9   tests/hostile/cases.py::d9_hellos_in_pieces
     tests/hostile/test_cases.py::test_hellos_in_pieces_are_named_by_their_first_bytes_and_nothing_is_kept
     tests/hostile/test_cases.py::test_unfinished_hellos_are_given_up_when_they_are_idle
     tests/decode/test_messages.py::test_a_hello_byte_by_byte
     tests/decode/test_messages.py::test_pieces_in_any_order_with_repeats
     tests/decode/test_messages.py::test_where_segments_overlap_the_first_bytes_win
     tests/decode/test_messages.py::test_a_64_kb_hello_gives_its_name_if_it_comes_early
     tests/decode/test_messages.py::test_a_flood_of_beginnings_is_bounded_and_hurts_nobody_else
     tests/decode/test_streams.py::test_a_flood_of_owners_is_bounded
D10  tests/hostile/cases.py::d10_names_that_bite
     tests/hostile/test_cases.py::test_names_that_bite_come_out_as_plain_text
     tests/decode/test_tls.py::test_odd_names_are_escaped
D11  tests/hostile/cases.py::d11_quic_that_is_none
     tests/hostile/test_cases.py::test_quic_that_is_none_and_leases_only_count_as_bytes
D12  tests/hostile/cases.py::d12_fragments_and_chains
     tests/hostile/test_cases.py::test_only_first_fragments_have_ports_and_nothing_is_put_together
     tests/decode/test_network.py::test_fragments_have_ports_in_the_first_only
     tests/decode/test_network.py::test_a_hundred_extension_headers_end_the_walk
     tests/decode/test_network.py::test_an_authentication_header_of_length_zero_is_stepped_over
     tests/decode/test_network.py::test_jumbograms_and_payload_lengths_of_zero
D13  tests/hostile/cases.py::d13_wrapped_again_and_again
     tests/hostile/test_cases.py::test_what_is_wrapped_too_deep_is_counted
     tests/decode/test_link.py::test_stacked_vlan_tags_up_to_eight
     tests/decode/test_link.py::test_qinq_and_pppoe_and_ipv6
     tests/decode/test_tunnel.py::test_tunnels_in_tunnels_to_a_depth
D14  tests/hostile/cases.py::d14_lengths_that_lie
     tests/decode/test_network.py::test_headers_that_cannot_be
D15  tests/capture/files/test_pcapng.py::test_a_block_that_cannot_be
     tests/capture/files/test_pcapng.py::test_an_interface_with_silly_options_is_read
     tests/capture/files/test_pcapng.py::test_sections_may_change_the_byte_order_and_begin_their_interfaces_anew
     tests/capture/files/test_pcap.py::test_a_record_that_cannot_be_ends_the_file
     tests/capture/files/test_captures.py::test_hostile_files_take_no_longer_than_their_size
D16  tests/capture/files/test_captures.py::test_what_unpacks_to_a_thousand_times_its_size_takes_no_more_memory
D17  tests/hostile/cases.py::d17_tcp_out_of_order
     tests/hostile/test_cases.py::test_bytes_do_not_depend_on_what_tcp_says
D18  tests/hostile/test_floods.py::test_super_frames_whose_length_field_is_zero
     tests/decode/test_super_frames.py::test_a_super_frame_counts_what_crossed_the_wire
D19  tests/hostile/cases.py::d19_leases_with_teeth
     tests/hostile/test_cases.py::test_quic_that_is_none_and_leases_only_count_as_bytes
D20  tests/decode/test_headers_truth.py::test_every_flow_row_equals_the_truth
D21  tests/decode/test_headers.py::test_no_bytes_on_any_link_raise
     tests/decode/test_dns.py::test_any_bytes_are_decoded_or_counted
     tests/decode/test_tls.py::test_any_bytes
     tests/decode/test_tunnel.py::test_any_bytes
     tests/decode/test_messages.py::test_any_segments
     tests/capture/files/test_captures.py::test_any_bytes_give_frames_or_one_line
     tests/capture/files/test_interfaces.py::test_any_bytes_are_an_interface_or_none
D22  tests/hostile/test_batches.py::test_captures_in_batches_of_any_size
     tests/hostile/test_batches.py::test_crafted_seconds_in_batches_of_any_size
M1   tests/hostile/test_tables.py::test_a_million_destinations_of_one_client
     tests/hostile/test_tables.py::test_a_flood_hides_no_upload_that_outlives_it
     tests/hostile/test_floods.py::test_a_flood_is_counted_bounded_and_hurts_nobody_else
M2   tests/hostile/test_tables.py::test_a_hundred_thousand_macs
     tests/hostile/test_floods.py::test_a_flood_is_counted_bounded_and_hurts_nobody_else
M3   tests/hostile/test_tables.py::test_a_port_scan
     tests/account/test_ledger.py::test_a_port_scan_does_not_grow_the_services_of_a_contact
M4   tests/hostile/test_tables.py::test_names_without_end
     tests/hostile/test_floods.py::test_a_flood_is_counted_bounded_and_hurts_nobody_else
M7   tests/hostile/test_tables.py::test_addresses_that_were_chosen_to_collide_cost_what_random_ones_cost
M8   tests/hostile/test_tables.py::test_quiet_flows_cost_nothing_while_they_are_quiet
M11  tests/scenarios/alerts/flooder-beside-a-dripping-phone.toml
     tests/scenarios/test_scenarios.py::test_scenario
M13  tests/hostile/test_floods.py::test_a_large_house_fits
T1   tests/scenarios/silent/clock-jumps-three-weeks.toml
T2   tests/scenarios/silent/clock-jumps-back.toml
     tests/scenarios/alerts/clock-jumps-back.toml
T3   tests/scenarios/alerts/clock-slews.toml
T4   tests/hostile/test_tables.py::test_frames_from_1970_and_2106_move_no_clock
     tests/hostile/test_floods.py::test_frames_from_1970_and_2106_move_no_clock
     tests/account/test_timeline.py::test_single_frames_in_1970_and_2106_are_clamped_and_counted
     tests/scenarios/silent/stray-times.toml
     tests/scenarios/alerts/stray-times.toml
T5   tests/scenarios/alerts/out-of-order.toml
     tests/scenarios/silent/out-of-order-below.toml
T8   tests/foreground/sources/test_push.py::TestTime
     tests/scenarios/alerts/phone-clock-forty-seconds-ahead.toml
     tests/scenarios/silent/phone-clock-ten-minutes-behind.toml
     tests/scenarios/silent/reports-out-of-order.toml
T9   tests/test_app.py::test_eight_hours_of_sleep_are_not_eight_hours_in_background
     tests/base/test_absence.py::test_eight_hours_of_sleep_show_once
     tests/scenarios/silent/back-after-absence.toml
T10  tests/scenarios/silent/burst-of-59-seconds.toml
     tests/scenarios/alerts/burst-of-61-seconds.toml
O17  tests/scenarios/silent/no-state-source.toml
     tests/scenarios/silent/state-source-silent-for-hours.toml
     tests/scenarios/silent/missed-heartbeats.toml
     tests/scenarios/silent/flapping-source.toml
     tests/scenarios/silent/lost-report.toml
W1   tests/deliver/web/test_pages.py::test_hostile_text_adds_no_element_and_no_attribute
     tests/deliver/test_shapes.py::test_hostile_text_is_visible_ascii_json
     tests/deliver/test_metrics.py::test_hostile_text_stays_inside_its_label
     tests/deliver/test_log.py::test_hostile_text_stays_one_visible_line
     tests/deliver/test_report.py::test_hostile_text
W2   tests/deliver/web/test_pages.py::test_hostile_text_adds_no_element_and_no_attribute
     tests/deliver/web/test_acting.py::test_hostile_names_add_no_element
     tests/deliver/web/test_markup.py::test_values_stay_values
W3   tests/deliver/web/test_security.py::test_a_foreign_host_gets_nothing
     tests/deliver/web/test_security.py::test_our_own_names
     tests/deliver/web/test_acting.py::test_by_the_public_name_and_no_other
W4   tests/hostile/test_web.py::test_looking_at_every_path_changes_nothing
W5   tests/hostile/test_web.py::test_no_path_takes_a_post_from_a_foreign_page
     tests/hostile/test_web.py::test_no_path_takes_a_post_without_its_token_or_its_type
W7   tests/deliver/web/test_acting.py::test_looking_three_times_changes_nothing
     tests/deliver/web/test_acting.py::test_a_post_mutes_once_and_only_that
     tests/deliver/web/test_acting.py::test_too_old_is_told_and_does_nothing
     tests/deliver/web/test_acting.py::test_changed_foreign_and_revoked_tokens_get_one_and_the_same_answer
     tests/deliver/web/test_acting.py::test_no_token_in_logs
     tests/deliver/test_links.py::test_each_bit_counts
     tests/deliver/test_links.py::test_the_key_is_made_once_and_nobody_else_reads_it
     tests/system/test_mutes.py::test_from_the_message_to_silence_and_back
W8   tests/hostile/test_observed.py::test_no_name_is_resolved_and_nothing_is_connected_to
W9   tests/hostile/test_web.py::test_bodies_that_bite
     tests/hostile/test_web.py::test_a_hundred_thousand_chunks
W10  tests/deliver/web/test_server.py::test_many_idle_connections_leave_room_for_the_page
     tests/deliver/web/test_server.py::test_silent_connections_are_closed
     tests/deliver/web/test_server.py::test_one_neighbour_cannot_shut_out_the_others
W12  tests/foreground/sources/test_push.py::TestAttacks
     tests/foreground/sources/test_push.py::TestRepeats
     tests/foreground/sources/test_push.py::TestWhose
     tests/test_app.py::test_a_flood_of_one_phone_is_refused_and_the_others_are_heard
W13  tests/deliver/web/test_security.py::test_missing_pages_too
     tests/deliver/web/test_server.py::test_nothing_is_imported_or_read_once_it_runs
W15  tests/test_config.py::test_a_bad_file_gives_one_line
     tests/test_config.py::test_what_is_no_file
     tests/test_config.py::test_what_would_be_waited_for_is_no_file
     tests/test_config.py::test_ten_thousand_tables_are_read_in_a_moment
     tests/test_config.py::test_whatever_is_under_a_key_is_one_line_or_fine
     tests/base/test_settings.py::test_any_table_is_a_tree_or_a_config_error
     tests/base/test_settings.py::test_what_looks_like_a_secret_is_not_shown_in_tables_that_hold_some
W16  tests/system/test_secrets.py::test_page_api_metrics_log_and_store
     tests/system/test_secrets.py::test_commands
W17  tests/test_config.py::test_a_bad_file_gives_one_line
     tests/base/test_registry.py::test_any_other_name_lists_the_known_ones
W21  tests/system/test_writes.py::test_nothing_outside_the_state_folder
     tests/system/test_life.py::test_it_gives_up_every_right_but_the_one_to_capture
     tests/deploy/test_unit.py::test_its_exposure_is_low
     tests/deploy/test_install.py::test_the_package_from_install_to_purge
W22  tests/test_conventions.py::test_locks_are_frozen
L3   tests/system/test_reload.py::test_a_bad_file_changes_nothing_and_says_so
     tests/system/test_reload.py::test_what_only_root_may_read_is_kept_and_named
T6   tests/store/test_outbox.py::test_the_wall_clock_is_asked_for_no_age
     tests/detect/test_learned.py::test_a_clock_step_makes_nobody_known_for_longer
S1   tests/hostile/test_outbox.py::test_a_thousand_alerts_three_moody_sinks_and_twenty_kills
     tests/hostile/test_told.py::test_kills_in_quiet_hours_and_at_their_end_lose_no_digest_and_double_none
     tests/hostile/test_told.py::test_a_storm_with_a_kill_in_the_middle_is_a_handful_of_messages_that_add_up
S3   tests/hostile/test_outbox.py::test_a_full_disk_stops_nothing_and_is_written_to_when_there_is_space
     tests/deliver/test_journal.py::test_a_disk_that_refuses_stops_nothing_and_is_written_to_again_when_it_takes
     tests/store/test_outbox.py::test_a_full_disk_is_undone_cleanly_and_reading_goes_on
     tests/deliver/test_delivery.py::test_what_the_disk_refused_is_remembered_once_it_takes
S4   tests/hostile/test_outbox.py::test_a_folder_that_goes_and_comes_back
     tests/store/test_outbox.py::test_a_file_that_is_taken_away_is_taken_along
S5   tests/store/test_outbox.py::test_an_io_error_is_never_success_and_the_file_is_opened_again
     tests/store/test_outbox.py::test_an_error_of_reading_is_told_and_the_file_is_opened_again
     tests/deliver/test_journal.py::test_a_commit_of_which_nothing_is_known_sends_nothing_twice
S6   tests/store/test_outbox.py::test_a_damaged_or_foreign_file_is_put_aside_and_begun_anew
     tests/store/test_outbox.py::test_a_damaged_log_costs_no_more_than_its_end
     tests/store/test_outbox.py::test_an_empty_file_is_a_new_one
     tests/store/test_database.py::test_the_log_goes_aside_with_its_file_and_the_oldest_go
     tests/deliver/test_journal.py::test_a_damaged_store_is_told_and_replaced
     tests/deliver/test_delivery.py::test_a_damaged_file_is_told_again_what_was_remembered
S8   tests/store/test_outbox.py::test_a_newer_file_is_refused_in_one_line_and_untouched
     tests/store/test_told.py::test_an_older_file_gets_the_tables_and_keeps_its_letters
     tests/store/test_told.py::test_a_kill_within_the_step_leaves_the_older_file
S12  tests/deliver/test_journal.py::test_one_connection_of_one_thread
     tests/store/test_outbox.py::test_exactly_one_connection_and_how_it_writes
S14  tests/hostile/test_told.py::test_a_wrong_setting_leaves_what_waits_alone
T7   tests/deliver/test_outbox.py::test_a_year_forward_or_back_by_the_wall_clock_changes_nothing
     tests/store/test_outbox.py::test_the_wall_clock_is_asked_for_no_age
O1   tests/deliver/test_outbox.py::test_seven_days_down
O2   tests/deliver/test_outbox.py::test_what_was_under_way_is_sent_again_with_the_same_id
O3   tests/deliver/test_outbox.py::test_retry_after_holds_the_whole_sink_within_reason
     tests/deliver/chat/test_discord.py::test_how_long_discord_wants_us_to_wait
O4   tests/deliver/chat/test_webhook.py::test_redirects_are_not_followed
O5   tests/deliver/test_outbox.py::test_gone_for_good_is_told_to_the_others
O6   tests/deliver/chat/test_webhook.py::test_accepts_and_never_answers
     tests/deliver/chat/test_webhook.py::test_an_endless_body_is_cut
     tests/deliver/chat/test_webhook.py::test_a_slow_body_after_200_is_still_an_arrival
     tests/deliver/chat/test_webhook.py::test_a_bad_certificate_is_tried_again
     tests/deliver/test_http.py::test_an_endless_slow_body_costs_little
     tests/deliver/test_http.py::test_a_certificate_that_nobody_vouches_for
     tests/deliver/test_http.py::test_nobody_there
     tests/deliver/test_outbox.py::test_a_hanging_sink_is_interrupted_and_delays_no_other
O7   tests/deliver/test_outbox.py::test_restart_sends_what_waited_and_nothing_twice
     tests/deliver/test_schedule.py::test_whatever_fails_a_key_is_never_out_of_order_and_nothing_is_forgotten
O8   tests/hostile/test_told.py::test_ten_thousand_alerts_in_a_minute_are_told_or_counted
     tests/hostile/test_told.py::test_storm_after_storm_takes_no_more_memory
     tests/deliver/test_routing.py::test_ten_thousand_alerts_in_a_minute
O9   tests/deliver/test_outbox.py::test_restart_sends_what_waited_and_nothing_twice
     tests/hostile/test_told.py::test_a_restart_while_it_fires_tells_nobody_again_and_its_end_still_comes
     tests/deliver/test_routing.py::TestRestart
O10  tests/hostile/test_told.py::test_an_alert_and_what_is_to_be_told_of_it_are_one_transaction
     tests/hostile/test_told.py::test_kills_in_quiet_hours_and_at_their_end_lose_no_digest_and_double_none
O11  tests/deliver/test_outbox.py::test_full_drops_the_oldest_of_the_lowest_severity
O12  tests/deliver/test_signing.py::test_the_vector
     tests/deliver/chat/test_webhook.py::test_signed_with_each_secret_while_one_replaces_the_other
O14  tests/deliver/chat/test_alertmanager.py::test_the_real_one_that_was_started_again_is_told_all_that_goes_on
     tests/deliver/test_delivery.py::test_what_goes_on_is_said_again_to_a_program_that_forgets
O16  tests/selftest/test_trying.py::test_all_of_it_beside_a_running_sensor
L1   tests/system/test_life_cycle.py::test_an_interface_that_changes_is_watched_again
     tests/system/test_life.py::test_an_interface_that_is_removed_and_comes_back_under_load
     tests/system/test_life.py::test_it_waits_for_an_interface_that_is_not_there_yet
     tests/capture/test_live.py::test_it_waits_goes_on_and_counts
L2   tests/system/test_life.py::test_sigterm_under_load_ends_cleanly
     tests/deliver/test_outbox.py::test_restart_sends_what_waited_and_nothing_twice
     tests/test_app.py::test_what_was_learned_outlives_the_daemon
L4   tests/system/test_notify.py::test_what_is_stuck_ends_the_feeding
     tests/system/test_notify.py::test_a_process_that_stands_still_is_not_fed_for
L5   tests/system/test_life_cycle.py::test_a_full_store_does_not_hold_up_the_start
     tests/store/test_outbox.py::test_the_damage_of_a_file_that_is_too_large_to_look_through_shows_when_it_is_met
L7   tests/system/test_life_cycle.py::test_with_no_network_at_all_it_runs_and_says_what_is_missing
     tests/system/test_life_cycle.py::test_databases_and_lists_that_are_not_there_are_named

QUIC has no decoder yet, and of DHCP only the headers are looked at: D11 and D19 see to it that their frames count as
bytes and say nothing. Nothing that is kept is pruned by the wall clock (T6): ages are those of the running sensor. What
is known of the locked packages (W22) changes without us: a list of them, with hashes, is what a test can hold to.
"""

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

from tests.hostile.cases import CASES

ROOT = Path(__file__).resolve().parents[2]

DECODERS, FLOODS, TIMES = (1, 2, *range(4, 23)), (1, 2, 3, 4, 7, 8, 11, 13), (1, 2, 3, 4, 5, 6, 7, 8, 9, 10)
PAGES = (1, 2, 3, 4, 5, 7, 8, 9, 10, 12, 13, 15, 16, 17, 21, 22)
STORES, SINKS = (1, 3, 4, 5, 6, 8, 12, 14), (*range(1, 13), 14, 16, 17)
LIVES = (1, 2, 3, 4, 5, 7)
WANTED = (
    {f"D{number}" for number in DECODERS}
    | {f"M{number}" for number in FLOODS}
    | {f"T{number}" for number in TIMES}
    | {f"S{number}" for number in STORES}
    | {f"O{number}" for number in SINKS}
    | {f"W{number}" for number in PAGES}
    | {f"L{number}" for number in LIVES}
)


TESTS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def catalogue() -> dict[str, list[str]]:
    """Case -> tests, as the table above says."""
    found: dict[str, list[str]] = defaultdict(list)
    case = ""
    for line in (__doc__ or "").splitlines():
        entry = re.fullmatch(r"([DLMOSTW]\d+)? +(tests/\S+::\w+|tests/scenarios/\S+\.toml)", line)
        if entry:
            case = entry[1] or case
            found[case].append(entry[2])
    return found


def test_every_case_is_tested() -> None:
    assert set(catalogue()) == WANTED


@pytest.mark.parametrize("case", sorted(WANTED))
def test_the_tests_that_are_named_exist(case: str) -> None:
    for test in catalogue()[case]:
        path, _, name = test.partition("::")
        if path.endswith(".toml"):
            assert (ROOT / path).exists(), f"{case}: {test}"
            continue
        body = ast.parse((ROOT / path).read_text()).body
        assert name in [node.name for node in body if isinstance(node, TESTS)], f"{case}: {test}"


def test_every_crafted_case_is_run_and_named() -> None:
    named = {test.partition("::")[2] for tests in catalogue().values() for test in tests if "/cases.py::" in test}
    assert named == {case.__name__ for case in CASES}
