"""Rules, alerts and incidents."""

OPEN = ("hub_facts", "incident_reader", "incident_views", "incidents", "interfaces", "model", "service", "store", "views")
"""The modules that other slices may import."""
