# SPDX-License-Identifier: Apache-2.0
"""One simulated run from a configuration to its figures and its folder."""

import json
import resource
import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from client.training import Answer
from server.measuring import released_figures
from server.plan import Plan, Release, in_sessions, make_plan
from shared.catalogue import Catalogue, FeatureBasis, save_catalogue
from shared.config import RunConfig
from shared.errors import DataError, UsageError
from shared.features import build_catalogue, item_text
from shared.model.file import save_model
from shared.model.history import History
from shared.model.plan import BLOCKS
from shared.model.released import SharedModel
from shared.privacy.noise import OsRandom
from shared.schema import Floats, Ints, Scale
from shared.text.encoder import load_encoder
from simulation.baselines import ItemUserMean, UserMean
from simulation.beyond import beyond, diverse
from simulation.book import Book, keep
from simulation.cache import cache_dir
from simulation.comments import comment_figures
from simulation.dataset import Dataset
from simulation.devices import DevicePredictor, devices_of
from simulation.doctor import versions
from simulation.domains import DOMAINS
from simulation.domains import domain as domain_of
from simulation.evaluate import Rerank, evaluate
from simulation.federation import CohortSum, federate
from simulation.flower import as_deployed, check_ray
from simulation.flower import engine as flower_engine
from simulation.layouts import load
from simulation.noise import SimulationRng
from simulation.private_metrics import metric_answers
from simulation.published import published
from simulation.runs import RESULT, RunFolder, default_path, per_user_csv
from simulation.secure import Secure
from simulation.splits import Split, split
from simulation.stand_in import with_public_comments
from simulation.vectorised import Vectorised
from simulation.village import village

TUNING = "defaults were chosen on villages, ml-latest-small and training parts; not in epsilon"
"""Where the hyper-parameters come from: outside the claim, and said so in every run."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Stage:
    """What every seed of a run shares: data and the public catalogue."""

    dataset: Dataset
    catalogue: Catalogue
    basis: FeatureBasis
    seconds_encoding: float


def simulate(config: RunConfig, say: Say = lambda line: None) -> dict[str, Any]:
    """Run a private federation on one machine.

    Args:
        config: The run, see `shared.config.RunConfig`.
        say: Where progress goes, one line a step; released and public quantities only.

    Returns:
        The figures of CLI.md by name; those that do not apply are None. With several seeds each
        figure is a mean and has its standard deviation beside it as `_sd`.

    Raises:
        PrivetError: the data, the configuration or this machine is not what it must be.
    """
    if config.engine == "flower":
        check_ray()
    publishable = config.private and config.noise_seed is None
    stage = prepare(config, say)
    config = with_default_budget(config, stage.dataset.domain)
    now = datetime.now(UTC)
    out = config.resume or config.out
    path = Path(out) if out else default_path(Path("runs"), stage.dataset.name, now)
    with RunFolder(path, publishable=publishable, resume=config.resume is not None) as folder:
        if not (path / "config.toml").exists():
            folder.write("config.toml", config.to_toml())
        results = []
        for seed in range(config.seed, config.seed + config.seeds):
            variant = f"seed{seed}-" if config.seeds > 1 else ""
            one = config.model_copy(update={"seed": seed, "seeds": 1})
            results.append(_one_seed(one, stage, folder, variant, say, seeds=config.seeds))
        figures = summarise(results) | {"run_dir": str(path), "seed": config.seed}
        folder.write_json("env.json", versions())
        folder.write_json(RESULT, figures)
    return figures


def with_default_budget(config: RunConfig, domain: str) -> RunConfig:
    """Fill in the budget of the domain where a private run was given none.

    Example:
        >>> with_default_budget(RunConfig(), "health").target_epsilon
        2.0
    """
    given = config.target_epsilon or config.noise_multiplier
    if given or not config.private or domain not in DOMAINS:
        return config
    return config.model_copy(update={"target_epsilon": domain_of(domain).target_epsilon})


def _note(dataset: Dataset) -> str | None:
    """Return the sentence that must stand beside every recommendation of a domain, if any."""
    return (domain_of(dataset.domain).note or None) if dataset.domain in DOMAINS else None


def prepare(config: RunConfig, say: Say) -> Stage:
    """Load the data and encode the public catalogue."""
    if config.data == "village":
        dataset = village(seed=config.seed, domain=config.domain)
    else:
        dataset = load(config.data)
    for warning in dataset.warnings:
        say(f"warning: {warning}")
    say(
        f"{dataset.name}: {len(dataset.users)} users, {len(dataset.items)} items, "
        f"{len(dataset.interactions)} ratings"
    )
    if note := _note(dataset):
        say(f"note: {note}")
    started = time.perf_counter()
    texts = item_text(dataset.items)
    encoder = load_encoder(config.encoder, cache_dir())
    _set_threads(config.threads)
    say(f"encoding {len(set(texts))} texts with {encoder.name.split('@')[0]}")
    vectors = encoder.encode(texts) if any(texts) else None
    catalogue, basis = build_catalogue(dataset.items, vectors, encoder=encoder.name)
    return Stage(dataset, catalogue, basis, time.perf_counter() - started)


def _set_threads(threads: int | None) -> None:
    """Limit torch's threads; numpy follows the environment of the process."""
    if threads is not None:
        import torch

        torch.set_num_threads(threads)


def _one_seed(
    config: RunConfig, stage: Stage, folder: RunFolder, variant: str, say: Say, *, seeds: int
) -> dict[str, Any]:
    """Split, federate, evaluate, and write what may be published."""
    dataset = stage.dataset
    parts = split(dataset, config.split, config.test_fraction, config.seed)
    stage = _told(config, stage, parts, say)
    catalogue = stage.catalogue
    devices = devices_of(dataset, parts.known)
    absent = set(np.unique(parts.history.users).tolist())
    enrolled = [device for user, device in enumerate(devices) if user not in absent]
    if len(enrolled) < 2:
        raise DataError(
            f"a federation must have at least 2 users, got {len(enrolled)}.",
            hint="add users, or try `privet simulate village`.",
        )
    declared, place = dataset.comments_declared, folder.path / "private" / f"{variant}flower"
    over_flower = config.engine == "flower"
    asked = as_deployed(config, len(enrolled), comments=declared) if over_flower else config
    plan = make_plan(asked, len(enrolled), catalogue, comments=declared)
    say(describe(plan))
    _state(folder, variant, config, plan, seeds)
    started = time.perf_counter()
    with keep(folder, variant, config, plan, len(enrolled), int(time.time())) as book:
        engine = (
            flower_engine(
                config,
                place,
                catalogue,
                stage.basis,
                enrolled,
                say,
                comments=declared,
                held=[own for user, own in enumerate(_held(dataset, parts)) if user not in absent],
            )
            if over_flower
            else _engine(config)
        )
        engine = folder.remembered(engine, variant)
        booked = announced(book.recorded(engine), plan, say)
        model = federate(enrolled, catalogue, plan, booked)
        seconds = time.perf_counter() - started
        say("evaluating: shared model, what each block gained, local only, baselines")
        table: dict[str, Floats] = {}
        predictor = DevicePredictor(model, devices, dataset.scale)
        rerank = diverse(catalogue, config.diversity)
        figures = _evaluate(predictor, parts, dataset, config.seed, per_user=table, rerank=rerank)
        figures |= comment_figures(model, devices, parts, dataset, table)
        folder.write(f"private/{variant}per_user.csv", per_user_csv(table, dataset.users))
        present = np.array([user for user in range(len(devices)) if user not in absent])
        figures["released"] = _released(plan, booked, book, table, present, dataset.scale)
        shutil.rmtree(place, ignore_errors=True)  # its sums are stored now
        _append_released(folder, variant, figures["released"])
        book.release(_publish(folder, variant, model, stage))
    figures |= beyond(config, model, devices, parts, dataset, figures["protocol"])
    figures |= _gains(model, plan, devices, parts, dataset, figures["rmse"])
    figures |= _controls(config, parts, dataset, catalogue, devices)
    figures |= _sessions(config, parts, dataset, catalogue, devices, enrolled, folder, variant)
    figures |= plan.figures()
    figures |= _facts(config, parts, dataset, plan, len(enrolled), seconds, stage)
    return figures


def _held(dataset: Dataset, parts: Split) -> list[History]:
    """Return what each user's device holds out to measure the model on: the test rows. Private."""
    rows = parts.test.take(np.argsort(parts.test.users, kind="stable"))
    return devices_of(dataset, rows)


def _told(config: RunConfig, stage: Stage, parts: Split, say: Say) -> Stage:
    """Let public comments stand in for the text of a catalogue that has none."""
    dataset = stage.dataset
    if stage.catalogue.text.shape[1] or not dataset.comments_declared:
        return stage
    public = published(dataset, parts, config.public_comments or 0.0, config.seed)
    if len(public) == 0:
        return stage
    say(f"encoding {len(public)} public comments, which stand in for texts of the items")
    encoder = load_encoder(config.encoder, cache_dir() / "research")
    encode = lambda texts: np.asarray(encoder.encode(texts), dtype=np.float64)  # noqa: E731
    catalogue, basis = with_public_comments(dataset.items, public, encode, encoder.name)
    return replace(stage, catalogue=catalogue, basis=basis)


def _engine(config: RunConfig) -> CohortSum:
    """Return the engine of a run; its noise comes from the operating system unless it is seeded."""
    seed = config.noise_seed
    source = OsRandom() if seed is None else SimulationRng(seed + config.seed)
    kind = Secure if config.protocol == "real" else Vectorised
    return kind(np.random.default_rng(config.seed), source).cohort_sum


def _released(
    plan: Plan,
    cohort_sum: CohortSum,
    book: Book,
    table: dict[str, Floats],
    enrolled: Ints,
    scale: Scale,
) -> dict[str, float] | None:
    """Ask for private metrics where the budget says so; None elsewhere."""
    if "metrics" not in plan:
        return None
    asked, unit = plan["metrics"], (scale.high - scale.low) / 4
    total = cohort_sum(asked, 1, metric_answers(table, enrolled, unit))
    figures = released_figures(total, asked.noise_std, unit)
    book.metrics(figures)
    return figures


def _append_released(folder: RunFolder, variant: str, released: dict[str, float] | None) -> None:
    """Add the released figures to the run's scalars."""
    if released is not None:
        name = f"{variant}metrics.jsonl"
        lines = (folder.path / name).read_text("utf-8").splitlines()
        last = {f"released/{key}": value for key, value in released.items()}
        folder.write(name, "\n".join([*lines, json.dumps({"step": len(lines)} | last)]) + "\n")


def _evaluate(
    predictor: DevicePredictor,
    parts: Split,
    dataset: Dataset,
    seed: int,
    *,
    ranking: bool = True,
    per_user: dict[str, Floats] | None = None,
    rerank: Rerank | None = None,
) -> dict[str, Any]:
    """Evaluate one predictor with the researcher's full view."""
    return evaluate(
        predictor,
        parts,
        items_count=len(dataset.items),
        categories=dataset.items.categories,
        seed=seed,
        ranking=ranking,
        per_user=per_user,
        rerank=rerank,
    )


def _gains(
    model: SharedModel,
    plan: Plan,
    devices: Sequence[History],
    parts: Split,
    dataset: Dataset,
    rmse: float,
) -> dict[str, Any]:
    """Return the RMSE after each release that moved the model, in order: what each gained."""
    after: dict[str, float] = {}
    made = [(name, one) for name, one in model.stages().items() if name in plan]
    for name, stage in made[:-1]:
        predictor = DevicePredictor(stage, devices, dataset.scale)
        after[name] = _evaluate(predictor, parts, dataset, 0, ranking=False)["rmse"]
    return {"rmse_after": after | {name: rmse for name, _ in made[-1:]}}


def _controls(
    config: RunConfig,
    parts: Split,
    dataset: Dataset,
    catalogue: Catalogue,
    devices: Sequence[History],
) -> dict[str, Any]:
    """Evaluate what people have without this federation, on the same split."""
    plan = make_plan(_local(config), len(devices), catalogue)
    alone = federate(devices, catalogue, plan, _no_door)
    local = DevicePredictor(alone, devices, dataset.scale)
    users, items = len(dataset.users), len(dataset.items)
    by_user = UserMean(parts.known, dataset.scale, users, items)
    by_item = ItemUserMean(parts.known, dataset.scale, users, items)
    scores = {
        "local_only_rmse": local,
        "baseline_user_mean_rmse": by_user,
        "baseline_item_user_mean_rmse": by_item,
    }
    return {
        name: _evaluate(predictor, parts, dataset, config.seed, ranking=False)["rmse"]  # type: ignore[arg-type]
        for name, predictor in scores.items()
    }


def _local(config: RunConfig) -> RunConfig:
    """Return the control without federation."""
    none = {"target_epsilon": None, "noise_multiplier": None, "no_privacy": False}
    return config.model_copy(update=none | {"local_only": True})


def _no_door(*_: object) -> Floats:
    """Stand in for the engine where nothing is asked."""
    raise AssertionError("a local run asked for a sum")


def _sessions(
    config: RunConfig,
    parts: Split,
    dataset: Dataset,
    catalogue: Catalogue,
    devices: Sequence[History],
    enrolled: Sequence[History],
    folder: RunFolder,
    variant: str,
) -> dict[str, Any]:
    """Above 1,000 users, repeat the run in secure sums of a size that exists today.

    Its sums are not part of the book, so they stay private as the figure made of them does.
    """
    dealt = in_sessions(config, len(enrolled))
    if dealt is None:
        return {"in_sessions": None}
    plan = make_plan(dealt, len(enrolled), catalogue, comments=dataset.comments_declared)
    engine = folder.remembered(_engine(dealt), f"{variant}sessions-", hidden=True)
    model = federate(enrolled, catalogue, plan, engine)
    predictor = DevicePredictor(model, devices, dataset.scale)
    rmse = _evaluate(predictor, parts, dataset, config.seed, ranking=False)["rmse"]
    return {
        "in_sessions": {"sessions": plan.sessions, "cohort_size": plan.cohort_size, "rmse": rmse}
    }


def _facts(
    config: RunConfig,
    parts: Split,
    dataset: Dataset,
    plan: Plan,
    enrolled: int,
    seconds: float,
    stage: Stage,
) -> dict[str, Any]:
    """Return sizes, times and how the run was made."""
    dimension = max((release.query.dimension for release in plan.releases), default=0)
    texts = int(sum(bool(text) for text in dataset.interactions.comments))
    return {
        "split": config.split,
        "data": dataset.name,
        "trust": config.trust if plan.releases else None,
        "blocks": [block for block in BLOCKS if f"trunk_{block}" in plan],
        "users": enrolled,
        "items": len(dataset.items),
        "ratings": len(parts.known),
        "comments": texts,
        "trunk_parameters": sum(
            plan[name].query.dimension for name in ("trunk_items", "trunk_network") if name in plan
        ),
        "seconds_training": seconds,
        "seconds_encoding": stage.seconds_encoding,
        "users_per_second": enrolled / seconds if seconds > 0 else None,
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "upload_bytes_per_user_round": 4 * dimension,
        "secure_aggregation": _aggregation(config) if plan.private else None,
        "metrics_private": False,
        "releases_without_noise": bool(plan.releases) and not plan.private,
        "noise": _noise_words(config),
        "tuning": TUNING,
        "note": _note(dataset),
    }


def _aggregation(config: RunConfig) -> str:
    """Say whether sums went through secure aggregation."""
    return "real" if config.engine == "flower" else config.protocol


def _noise_words(config: RunConfig) -> str:
    """Say where the noise came from."""
    if not config.private:
        return "none"
    if config.noise_seed is not None:
        return "seeded, no privacy"
    return "drawn from the operating system"


def _state(folder: RunFolder, variant: str, config: RunConfig, plan: Plan, seeds: int) -> None:
    """Write what the run promises, before anything is asked."""
    policy = {
        "purpose": "research: a simulated federation",
        "justification": "chosen by whoever ran the simulation; --target-epsilon, 8 by default",
        "tuning": TUNING,
        "trust": config.trust,
        "delta": repr(plan.delta),
        "rho": str(plan.rho),
        "noise": _noise_words(config),
        "seeds": str(seeds),
        "releases": [
            {"query": r.query.name, "rounds": r.rounds, "mechanism": vars(r.mechanism)}
            for r in plan.releases
            if r.mechanism
        ],
    }
    stated = folder.path / f"{variant}policy.json"
    if stated.exists() and json.loads(stated.read_text("utf-8")) != policy:
        raise UsageError(
            "a run must go on with the settings that its policy.json states, and got others.",
            hint="leave the privacy flags out with --resume, or start a new run.",
        )
    if not stated.exists():
        folder.write_json(stated.name, policy)
    lines = [
        json.dumps({"step": i, "query": r.query.name, "rho": float(r.rho), "users": r.users})
        for i, r in enumerate(plan.releases, 1)
    ]
    folder.write(f"{variant}metrics.jsonl", "".join(f"{line}\n" for line in lines))


def _publish(folder: RunFolder, variant: str, model: SharedModel, stage: Stage) -> bytes:
    """Write model and catalogue; return the bytes of the model file."""
    file = save_model(model)
    folder.write(folder.shared.relative_to(folder.path) / f"{variant}model.safetensors", file)
    save_catalogue(folder.path / "catalogue.safetensors", stage.catalogue, stage.basis)
    return file


def announced(cohort_sum: CohortSum, plan: Plan, say: Say) -> CohortSum:
    """Wrap an engine: one line a round, of public and released quantities only."""
    rounds = sum(release.rounds for release in plan.releases)
    spent, number = Fraction(0), 0

    def told(release: Release, server_round: int, answers: Iterable[Answer]) -> Floats:
        nonlocal spent, number
        started = time.perf_counter()
        total = cohort_sum(release, server_round, answers)
        number += 1
        spent += release.mechanism.rho if release.mechanism else 0
        share = f"ρ {float(spent / plan.rho):.1%} of cap" if plan.private else "no noise"
        say(
            f"round {number}/{rounds}  {release.query.name}  invited {release.users}  "
            f"survivors {release.users}  {share}  {time.perf_counter() - started:.1f} s"
        )
        return total

    return told


def describe(plan: Plan) -> str:
    """Say in one line what is asked and what it costs."""
    if not plan.releases:
        return "local only: no device sends anything"
    names = ", ".join(f"{r.query.name} × {r.rounds}" for r in plan.releases)
    if not plan.private:
        return f"asking {names}, without noise; {plan.why}"
    figures = plan.figures()
    where = "one cohort" if plan.sessions == 1 else f"{plan.sessions} sessions"
    return (
        f"asking {names}: ε = {figures['epsilon']:.4g} at δ = {plan.delta:.3g}, {where} of "
        f"{plan.cohort_size}, {figures['noise_shares']} noise shares; {plan.why}"
    )


def summarise(results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Average figures over seeds; one seed is returned as it is."""
    if len(results) == 1:
        return dict(results[0])
    merged: dict[str, Any] = {}
    for name, first in results[0].items():
        values = [result[name] for result in results]
        numeric = all(type(value) in (int, float) for value in values)
        merged[name] = float(np.mean(values)) if numeric else first
        if numeric and len(set(values)) > 1:
            merged[f"{name}_sd"] = float(np.std(values, ddof=1))
    return merged | {"seeds": len(results)}
