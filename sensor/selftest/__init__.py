"""`idlewire selftest`: test clients upload in a network of their own, and the alerts come out of the real sinks.

`network` is that network, `clients` is what is sent in it, `watching` what the sensor sees of it, `steps` what is told
of each step; `trying` walks through them. It may import everything; only `cli` imports it. scapy is in here only.
"""
