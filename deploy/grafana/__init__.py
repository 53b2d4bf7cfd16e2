"""The dashboards, written in Python; `make dashboards` renews the JSON that Grafana reads."""
