"""Who a client is and where a destination is: names, country, ASN, owner, vendor. May import `model` and `base`."""
