"""Alerts: rules, episodes, incidents and notifications, with a reason for each message and each silence."""
