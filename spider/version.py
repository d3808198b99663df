"""The one place where the version stands: of the hub, of Major Tom and of Spider alike."""

VERSION = "0.1.0"
