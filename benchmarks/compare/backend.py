"""g: the drop-in onnxruntime backend, asked over gRPC, against the same session called in process."""

from __future__ import annotations

import dataclasses

from benchmarks.compare import houses, inprocess, rates, traffic
from benchmarks.compare.load import Load
from benchmarks.compare.ratios import Ratio
from benchmarks.compare.run import Bench
from benchmarks.perf_analyzer import write_input

TARGET = 0.9


def compare(bench: Bench) -> list[Ratio]:
    """Requests a second through `encoder` alone, the labelled queries' ids, full batches on both sides."""
    house = inprocess.House.of(houses.REPOSITORY)
    encoder = houses.config(houses.REPOSITORY / "encoder" / "config.pbtxt")
    # The session that the backend makes: one worker for each instance, threads as the config says.
    workers = max(encoder.instance_group[0].count, 1) if encoder.instance_group else 1
    setting = rates.Setting(encoder.max_batch_size, workers, houses.threads(houses.REPOSITORY), spin=False)
    clients = encoder.max_batch_size * (workers + 1)  # a batch in each instance, and the next one gathered
    with inprocess.Process() as process, bench.serving() as server:
        ids = process.call(inprocess.token_ids, house, traffic.queries())
        data = write_input(bench.folder / "ids.json", [{"input_ids": one} for one in ids])
        load = Load(server, "encoder", data, clients, bench.seconds)
        found = bench.in_turns(
            {
                "backend": load.rate,
                "in process": lambda: process.call(
                    inprocess.encode_rate, house.model, "packed", ids, setting, bench.seconds
                ),
            }
        )
    return [
        Ratio(
            "g",
            f"drop-in onnxruntime backend, {clients} clients, against its own session in process",
            found["backend"],
            found["in process"],
            TARGET,
            details={"encoder": house.encoder, "mean_batch": load.batch, "in_process": dataclasses.asdict(setting)},
        )
    ]
