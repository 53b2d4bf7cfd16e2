"""The HTTP side: page, JSON API, /metrics, and the headers and checks that hold for all of them."""
