"""Metrics of interfaces, sockets and protocols."""

from typing import List

from spider.wire.metric_type import Metric, breathe, cycle, pulse

_DEV = "/proc/net/dev"
_SNMP = "/proc/net/snmp"
_NETSTAT = "/proc/net/netstat"
_UDP = "/proc/net/snmp, snmp6"

TCP_STATES = (
    "established",
    "syn_sent",
    "syn_recv",
    "fin_wait1",
    "fin_wait2",
    "time_wait",
    "close",
    "close_wait",
    "last_ack",
    "listen",
    "closing",
)
_DIAG = "sock_diag(7), /proc/net/sockstat"

METRICS: List[Metric] = [
    pulse("network.received", "bytes/s", 1, "interface", about="through a card, or a container's own end", source=_DEV),
    pulse("network.sent", "bytes/s", 1, "interface", about="likewise", source=_DEV),
    pulse("network.packets_received", "packets/s", 1, "interface", about="likewise", source=_DEV),
    pulse("network.packets_sent", "packets/s", 1, "interface", about="likewise", source=_DEV),
    breathe("network.errors_received", "packets/s", 1000, "interface", about="that arrived damaged", source=_DEV),
    breathe("network.errors_sent", "packets/s", 1000, "interface", about="that could not be sent", source=_DEV),
    breathe("network.drops_received", "packets/s", 1000, "interface", about="that arrived and were thrown away", source=_DEV),
    breathe("network.drops_sent", "packets/s", 1000, "interface", about="that were thrown away instead of sent", source=_DEV),
    breathe(
        "network.up",
        "flag",
        1,
        "interface",
        about="1: it can pass packets; 0: it is down or has no carrier",
        source="/sys/class/net/*/operstate",
    ),
    cycle("network.speed", "bits/s", 1, "interface", about="of the link, where the card tells", source="/sys/class/net/*/speed"),
    breathe(
        "network.folded_received",
        "bytes/s",
        1,
        "kind",
        about="sum over all bridges, all veth … ; other interfaces count these bytes, too",
        source=_DEV,
    ),
    breathe("network.folded_sent", "bytes/s", 1, "kind", about="likewise", source=_DEV),
    breathe("network.folded_interfaces", "interfaces", 1, "kind", about="how many are in that sum", source=_DEV),
    *(pulse("tcp." + state, "sockets", about="TCP sockets in this state, IPv4 and IPv6", source=_DIAG) for state in TCP_STATES),
    breathe("tcp.orphans", "sockets", about="that no program holds any more", source="/proc/net/sockstat"),
    breathe("tcp.memory", "bytes", about="of all TCP buffers", source="/proc/net/sockstat"),
    breathe("tcp.opened", "connections/s", 100, about="that this host opened", source=_SNMP),
    breathe("tcp.accepted", "connections/s", 100, about="that others opened to this host", source=_SNMP),
    breathe("tcp.failed", "connections/s", 100, about="attempts that failed", source=_SNMP),
    breathe("tcp.resets", "connections/s", 100, about="established connections that either side reset", source=_SNMP),
    breathe("tcp.resets_sent", "segments/s", 100, about="resets sent", source=_SNMP),
    breathe("tcp.segments_received", "segments/s", 1, about="of all connections", source=_SNMP),
    breathe("tcp.segments_sent", "segments/s", 1, about="without retransmitted ones", source=_SNMP),
    breathe("tcp.retransmits", "segments/s", 100, about="sent again", source=_SNMP),
    breathe("tcp.listen_overflows", "connections/s", 100, about="refused because a program did not accept", source=_NETSTAT),
    breathe("tcp.listen_drops", "connections/s", 100, about="lost at a listening socket, for any reason", source=_NETSTAT),
    breathe("udp.received", "datagrams/s", 100, about="handed to programs, IPv4 and IPv6", source=_UDP),
    breathe("udp.sent", "datagrams/s", 100, about="sent", source=_UDP),
    breathe("udp.errors", "datagrams/s", 100, about="that arrived and could not be handed on", source=_UDP),
    breathe("udp.buffer_errors", "datagrams/s", 100, about="received or sent, dropped because a buffer was full", source=_UDP),
    breathe("udp.no_port", "datagrams/s", 100, about="to a port where nobody listens", source=_UDP),
    breathe("udp.sockets", "sockets", about="IPv4 and IPv6", source="/proc/net/sockstat, sockstat6"),
    breathe("conntrack.used", "connections", about="that the firewall tracks", source="nf_conntrack_count"),
    breathe("conntrack.limit", "connections", about="most that the firewall can track", source="nf_conntrack_max"),
]
