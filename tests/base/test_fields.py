import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensor.base.fields import (
    Asn,
    BrokerName,
    Domain,
    Host,
    Interface,
    Label,
    Listen,
    LocalNetwork,
    Mac,
    Network,
    Owner,
    Port,
    PublicUrl,
    https_url,
    is_mac,
)  # fmt: skip


@pytest.mark.parametrize("value", [4837, "4837", "AS4837", " as4837 "])
def test_as_numbers_may_carry_their_prefix(value: int | str) -> None:
    assert Asn(value) == 4837


@pytest.mark.parametrize("value", [0, -1, 2**32, "AS0", "ASN", "", "AS 4837", "٤"])
def test_what_is_no_as_number(value: int | str) -> None:
    with pytest.raises(ValueError, match="is not an AS number"):
        Asn(value)


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("42.62.48.0/24", "42.62.48.0/24"),
        ("42.62.48.10", "42.62.48.10/32"),
        ("2400:3200:0::/32", "2400:3200::/32"),
        ("2400:3200::1", "2400:3200::1/128"),
        ("0.0.0.0/0", "0.0.0.0/0"),
    ],
)
def test_networks_have_one_spelling(text: str, network: str) -> None:
    assert Network(text) == network


def test_a_network_knows_its_block() -> None:
    assert Network("42.62.48.0/24").block() == (4, 24, 0x2A3E3000)
    assert Network("2400:3200::/32").block() == (16, 32, 0x2400320000000000 << 64)


def test_bits_beyond_the_length_get_a_hint() -> None:
    with pytest.raises(ValueError, match=r"did you mean 42\.62\.48\.0/24\?"):
        Network("42.62.48.10/24")
    with pytest.raises(ValueError, match="did you mean 2400:3200::/32"):
        Network("2400:3200::1/32")


@pytest.mark.parametrize(
    "text", ["", "42.62.48", "42.62.48.0/33", "xiaomi.com", "fe80::1%eth0", "1.2.3.4-1.2.3.9", "10"]
)
def test_what_is_no_network(text: str) -> None:
    with pytest.raises(ValueError, match="is not a network like"):
        Network(text)


@pytest.mark.parametrize("text", ["0.0.0.0/0", "::/0"])
def test_not_every_address_is_a_clients(text: str) -> None:
    with pytest.raises(ValueError, match="nothing would be a destination"):
        LocalNetwork(text)


def test_a_local_network_is_a_network() -> None:
    assert LocalNetwork("2001:db8:77::/48") == "2001:db8:77::/48"
    with pytest.raises(ValueError, match="did you mean"):
        LocalNetwork("10.0.0.1/8")


def test_hosts_are_names_as_browsers_send_them() -> None:
    assert [Host(text) for text in ("Router.lan", "router", "bücher.example")] == [
        "router.lan",
        "router",
        "xn--bcher-kva.example",
    ]
    for wrong in ("", "http://router.lan", "router.lan:8470", "router.lan/", "*.lan", "a b"):
        with pytest.raises(ValueError, match=r"is not a host name like router\.lan"):
            Host(wrong)


def test_domains_have_one_spelling() -> None:
    assert Domain("API.Xiaomi.com.") == "api.xiaomi.com"
    assert Domain("bücher.example") == "xn--bcher-kva.example"


@pytest.mark.parametrize("text", ["", "*.xiaomi.com", "https://xiaomi.com/", "xiaomi..com", "a b.com"])
def test_what_is_no_domain(text: str) -> None:
    with pytest.raises(ValueError, match="domain"):
        Domain(text)


def test_an_address_is_no_domain_and_says_where_it_belongs() -> None:
    with pytest.raises(ValueError, match="under cidrs"):
        Domain("42.62.48.10")


def test_an_owner_is_more_than_blanks() -> None:
    assert Owner(" Xiaomi ") == "Xiaomi"
    with pytest.raises(ValueError, match="only blanks"):
        Owner("  ")


def test_macs_have_one_spelling() -> None:
    assert Mac("60-38-E0-C5-35-A0") == Mac("6038e0c535a0") == "60:38:e0:c5:35:a0"
    assert is_mac("60:38:e0:c5:35:a0")
    assert not is_mac("Redmi Note")
    with pytest.raises(ValueError, match="is not a MAC address like"):
        Mac("60:38:e0")


@pytest.mark.parametrize("text", ["ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:fb", "33-33-00-00-00-01"])
def test_a_group_address_is_no_clients(text: str) -> None:
    with pytest.raises(ValueError, match="is a group address"):
        Mac(text)


def test_labels_are_short_and_printable() -> None:
    assert Label(" china ") == "china"
    for wrong in ("", "  ", "a" * 65, "red\x1b[31m", "\u202eevil"):
        with pytest.raises(ValueError, match="printable characters"):
            Label(wrong)


def test_interfaces_are_names_that_the_kernel_takes() -> None:
    assert Interface("br-lan.10") == "br-lan.10"
    for wrong in ("", "../etc", "a" * 16, "eth 0", "..", "ü" * 8):
        with pytest.raises(ValueError, match="name of an interface"):
            Interface(wrong)


@pytest.mark.parametrize("text", ["127.0.0.1:8470", "[::1]:0", "localhost:8470", "0.0.0.0:65535"])
def test_where_a_server_can_listen(text: str) -> None:
    assert Listen(text) == text


@pytest.mark.parametrize(
    "text", ["", "8470", ":8470", "::1:8470", "127.0.0.1:65536", "[zz]:1", "[1]:1", "a b:1", "h:1\n"]
)
def test_where_it_cannot(text: str) -> None:
    if text == "h:1\n":
        assert Listen(text) == "h:1"
        return
    with pytest.raises(ValueError, match='like "127'):
        Listen(text)


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("http://router.lan:8470", "router.lan"),
        ("HTTPS://Router.example/", "router.example"),
        ("http://[fd00::1]:8470", "fd00::1"),
        ("http://192.168.1.1", "192.168.1.1"),
        ("", ""),
    ],
)
def test_where_people_reach_the_page(text: str, host: str) -> None:
    url = PublicUrl(text)
    assert (url.host, url) == (host, text.lower().removesuffix("/"))


@pytest.mark.parametrize(
    "text",
    ["router.lan", "ftp://a", "http://", "http://a/b", "http://a?x", "http://u:p@a", "http://a:0", "http://a:99999",
     "http://[zz]", "http://a b", "javascript:alert(1)", "http://a#b", "http://\u0430pple.com"],
)  # fmt: skip
def test_where_they_cannot(text: str) -> None:
    with pytest.raises(ValueError, match="expected scheme, host and perhaps a port, like http://router"):
        PublicUrl(text)


@given(st.text(max_size=40))
def test_any_text_is_a_value_or_a_printable_value_error(text: str) -> None:
    for kind in (Label, Asn, Owner, Network, LocalNetwork, Domain, Host, Mac, Interface, Listen, PublicUrl):
        try:
            kind(text)
        except ValueError as error:
            assert str(error)  # noqa: PT017  # both ends are fine


@pytest.mark.parametrize("written", ["broker.lan", "192.168.1.10", "fe80::1", " mosquitto "])
def test_names_of_brokers(written):
    assert BrokerName(written) == written.strip()


@pytest.mark.parametrize("written", ["mqtt://broker", "broker:1883", "", "a b", "x" * 300])
def test_what_is_no_name_of_a_broker(written):
    with pytest.raises(ValueError, match="without mqtt:// and port"):
        BrokerName(written)


@pytest.mark.parametrize("number", [0, -1, 65_536])
def test_what_is_no_port(number):
    assert Port(65_535) == 65_535
    with pytest.raises(ValueError, match="from 1 to 65535"):
        Port(number)


@pytest.mark.parametrize(
    "text",
    ["http://a.example/x", "https:///x", "ftp://a.example", "a.example/x", "https://a.example/\nx", "https://[x/",
     "https://a.example:99999/x", "https://a.example/a b"],
)  # fmt: skip
def test_what_is_no_https_url_is_not_repeated(text: str) -> None:
    with pytest.raises(ValueError, match=r"^the URL must begin with https://") as caught:
        https_url(text)
    assert text not in str(caught.value)


def test_an_https_url() -> None:
    https_url("https://ipinfo.io/data/ipinfo_lite.mmdb?token=abc")
    https_url("https://download.example/free/lite-{month}.mmdb.gz")
