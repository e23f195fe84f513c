"""Command line: `python -m server` runs a Triton over the model repository until it is told to stop."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from server import exposure, tracing
from server.launcher import REPOSITORY, Server, free_ports
from server.supervisor import Supervisor
from server.triton import Ports, SetupError


def main(argv: list[str] | None = None) -> int:
    """Serve; returns Triton's exit code, or 1 with a sentence on stderr if it could not start."""
    arguments = _parser().parse_args(argv)
    ports = free_ports() if arguments.free_ports else _ports(arguments)
    try:
        exposed, flags = exposure.from_arguments(arguments), tracing.flags(arguments)
    except SetupError as error:
        return _fail(error)
    supervisor = Supervisor(
        lambda: Server(arguments.repository, ports, exposed, flags=flags),
        _announce,
        _say,
    )
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda received, _: supervisor.stop(received))
    try:
        return supervisor.run()
    except SetupError as error:
        return _fail(error)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m server",
        description="Run a Triton (pip's, or the container's) over the model repository, on this machine's loopback "
        "unless told otherwise. "
        "Says ready once a real search is answered, and starts Triton again when it ends, when a model's process dies, "
        "or when a search is not answered any more. SIGTERM ends it, with Triton's exit code.",
        epilog="First: `python -m export encoder` and `python -m export catalog publish FILE --offline`.",
    )
    parser.add_argument("--repository", type=Path, default=REPOSITORY, help="default: model_repository")
    parser.add_argument("--http-port", type=int, default=Ports.http, metavar="PORT", help="default: %(default)s")
    parser.add_argument("--grpc-port", type=int, default=Ports.grpc, metavar="PORT", help="default: %(default)s")
    parser.add_argument("--metrics-port", type=int, default=Ports.metrics, metavar="PORT", help="default: %(default)s")
    parser.add_argument("--free-ports", action="store_true", help="listen on three ports that are free")
    exposure.add_arguments(parser)
    tracing.add_arguments(parser)
    return parser


def _ports(arguments: argparse.Namespace) -> Ports:
    return Ports(arguments.http_port, arguments.grpc_port, arguments.metrics_port)


def _announce(server: Server, generation: int | None, seconds: float) -> None:
    what = f"serving generation {generation}"
    if generation is None:
        what = "no catalogue published yet: run `python -m export catalog publish FILE`"
    print(
        f"ready in {seconds:.1f} s, {what}\n"
        f"  gRPC     {server.grpc_url}\n"
        f"  HTTP     {server.http_url}\n"
        f"  metrics  {server.metrics_url}",
        flush=True,
    )


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def _fail(error: Exception) -> int:
    print(error, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
