"""A start for new people's layers: many devices learn, send clipped and noised updates, and these are averaged."""

from __future__ import annotations

import malgil

from benchmarks.loop.learning import Personal, simulate
from benchmarks.loop.people import invent
from benchmarks.loop.world import World
from feedback.federated import average

CHOICES = 20  # of each device, before it sends its update
DELTA = 1e-6


def learn_start(world: World, devices: int, seed: int) -> tuple[malgil.PersonalLayer, str]:
    """The start that a cohort of devices makes, and what was done in a sentence.

    Args:
        world: the search.
        devices: each with a person of its own, whom nobody else meets.
        seed: of the people, their luck and the noise.
    """
    zero = malgil.PersonalLayer.zero(world.dimension)
    people = invent(devices, seed=seed + 1_000_000)
    method = Personal(world, lambda: malgil.PersonalLayer(zero.vector))
    simulate(people, method, seed, counts=(CHOICES,), measured=False)
    updates = [
        malgil.LayerUpdate.of(method.layers[person.number], start=zero, cohort=devices, seed=seed + person.number)
        for person in people
    ]
    found = average((update.to_bytes() for update in updates), zero)
    epsilon, _ = found.epsilons(1, DELTA)
    told = (
        f"{found.taken:,} devices of other people learned from {CHOICES} choices each, from zero, and sent their "
        f"updates (clipped to {found.clip:g}, noise {found.noise_multiplier:g}: ε {epsilon:.2g} at δ {DELTA:g} for the "
        f"average). The average has the length {found.length:.4f}; noise alone would have {found.noise:.4f}. New "
        "people begin with it, or with zeros."
    )
    return found.layer, told
