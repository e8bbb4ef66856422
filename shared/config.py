# SPDX-License-Identifier: Apache-2.0
"""The configuration of a simulated run: one validated model whose fields carry their docs.

Order: defaults < a TOML file < flags of the command. A deployment never reads it for what decides
the guarantee; there the signed policy rules (`shared/privacy/policy.py`).
"""

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from shared.errors import DataError, UsageError

QUERIES = (
    "item_sums",
    "offset_prior",
    "population_prior",
    "trunk_items",
    "trunk_network",
    "rank_weights",
    "rank_bilinear",
    "rank_items",
    "metrics",
)
"""Names of the private sums that a budget can be shared over, in the order they run."""

PRIVACY_CHOICES = ("target_epsilon", "noise_multiplier", "no_privacy", "local_only")
"""Fields of which a run takes at most one."""

Share = Annotated[float, Field(ge=0, le=1)]


def _kebab(name: str) -> str:
    return name.replace("_", "-")


class RunConfig(BaseModel):
    """Everything that decides a simulated run; unknown keys are errors."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        alias_generator=_kebab,
        populate_by_name=True,
        use_attribute_docstrings=True,
    )

    data: str = "village"
    """A folder in a known layout, or the word `village`."""
    split: Literal[
        "random", "u1", "u2", "u3", "u4", "u5", "leave-one-out", "one-random", "users", "items"
    ] = "random"
    """How ratings are held out for the test."""
    test_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Share of ratings, users or items that the splits random, users and items hold out."""
    target_epsilon: Annotated[float, Field(gt=0, le=100)] | None = None
    """Epsilon that the run may reach; that of the domain, 8 or less, where none is chosen."""
    noise_multiplier: Annotated[float, Field(gt=0, le=1e6)] | None = None
    """Standard deviation over sensitivity of the single Gaussian of equal cost, 1/sqrt(2 rho)."""
    no_privacy: bool = False
    """No clipping noise at all: the control that privacy is measured against."""
    local_only: bool = False
    """No federation at all: what a device has alone (text, ridge, kernel)."""
    target_delta: Annotated[float, Field(gt=0, lt=0.1)] | None = None
    """Delta of the guarantee; min(1e-5, 1 / (10 users)) where unset."""
    trust: Literal["distributed", "central", "local"] = "distributed"
    """Who adds the noise: all devices in shares, the server, or each device for itself."""
    cohort: Literal["all"] | Annotated[int, Field(ge=2)] = "all"
    """Devices in one secure sum; `all` deals nobody away."""
    dropout: Annotated[float, Field(ge=0, lt=0.5)] = 0.1
    """Share of a cohort whose noise may be missing without weakening the guarantee."""
    colluders: Annotated[int, Field(ge=0)] = 0
    """Devices whose noise shares are not counted, because they might tell them."""
    budget: dict[str, Share] | None = None
    """Shares of rho over the queries, summing to 1; a public rule where unset."""
    objective: Literal["balanced", "ratings", "ranking"] = "balanced"
    """What the budget is spent on: predicted ratings, ranked lists, or both."""
    blocks: tuple[Literal["items", "network"], ...] | None = None
    """Blocks of the trunk to train; a public rule where unset."""
    rounds: Annotated[int, Field(ge=1, le=1000)] | None = None
    """Rounds of the trunk's item block; a public rule where unset."""
    local_steps: Annotated[int, Field(ge=1, le=100)] = 1
    """Steps of descent on a device whose network gradients are summed; clipped once."""
    local_rate: Annotated[float, Field(ge=0, le=1)] = 0.001
    """Step size of that descent."""
    reconstruction: Literal["leave-one-out", "split"] = "leave-one-out"
    """How a user vector is kept from seeing what it explains: exactly, or by halves of the events,
    which user models without a closed leave-one-out need."""
    diversity: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Weight of unlikeness in recommended lists; 0 is the list of the best scores."""
    public_comments: Annotated[float, Field(gt=0, le=1)] | None = None
    """Share of the training comments that their authors publish; none where unset."""
    written_alpha: Annotated[float, Field(ge=0, le=1)] = 0.95
    """Share of a profile of written comments that stays when a comment comes."""
    protocol: Literal["drawn", "real"] = "drawn"
    """Draw the noise of a sum at once, or run secure aggregation with a share on each device."""
    engine: Literal["vectorised", "flower"] = "vectorised"
    """All devices in one process, or the deployment's own apps under Flower's simulation engine."""
    encoder: str = "default"
    """Text encoder: `default`, a local path, or a hub name."""
    domain: Literal["films", "films-zh", "shop", "social", "courses", "health"] = "films"
    """What the generated village is about."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seeds splits, negatives and the village; never noise."""
    seeds: Annotated[int, Field(ge=1, le=100)] = 1
    """How many consecutive seeds to run; figures become means with an `_sd` beside them."""
    noise_seed: Annotated[int, Field(ge=0)] | None = None
    """Seeds the noise too, for tests: the run is then marked as having no privacy."""
    out: str | None = None
    """Folder of the run; `runs/NAME-TIME` where unset."""
    resume: str | None = None
    """Folder of an unfinished run to go on with; finished releases are never drawn again."""
    threads: Annotated[int, Field(ge=1, le=256)] | None = None
    """Threads for encoding and linear algebra; those of the machine where unset."""

    @model_validator(mode="after")
    def _one_privacy_choice(self) -> "RunConfig":
        chosen = [name for name in PRIVACY_CHOICES if getattr(self, name)]
        if len(chosen) > 1:
            flags = " and ".join(f"--{_kebab(name)}" for name in chosen)
            raise ValueError(f"at most one choice of privacy must be made, got {flags}")
        return self

    @model_validator(mode="after")
    def _real_protocol_needs_shares(self) -> "RunConfig":
        if self.protocol == "real" and (not self.private or self.trust != "distributed"):
            raise ValueError("protocol real must have noise under distributed trust")
        return self

    @model_validator(mode="after")
    def _budget_sums_to_one(self) -> "RunConfig":
        if self.budget is not None:
            unknown = sorted(set(self.budget) - set(QUERIES))
            if unknown:
                raise ValueError(f"budget must name known queries, got {', '.join(unknown)}")
            total = sum(self.budget.values())
            if abs(total - 1) > 1e-9:
                raise ValueError(f"the shares of the budget must sum to 1, got {total:g}")
        return self

    @property
    def private(self) -> bool:
        """Whether the run draws noise under a budget."""
        return not (self.no_privacy or self.local_only)

    def to_toml(self) -> str:
        """Return the configuration as TOML that `load` reads back."""
        values = self.model_dump(by_alias=True, exclude_none=True, exclude={"out", "resume"})
        tables = {key: values.pop(key) for key in [k for k, v in values.items() if type(v) is dict]}
        lines = [f"{key} = {_toml(value)}" for key, value in values.items()]
        for name, table in tables.items():
            lines += ["", f"[{name}]", *(f"{key} = {_toml(value)}" for key, value in table.items())]
        return "\n".join(lines) + "\n"


def load(file: Path | None = None, flags: dict[str, Any] | None = None) -> RunConfig:
    """Merge defaults, a TOML file and flags into one configuration.

    Args:
        file: A TOML file with the fields of `RunConfig` in kebab-case, or none.
        flags: Values given on the command line, snake_case; None means not given. A flag that
            chooses privacy replaces the choice of the file.

    Raises:
        DataError: the file cannot be read, or a value of it is invalid.
        UsageError: a flag is invalid.
    """
    given = {name: value for name, value in (flags or {}).items() if value not in (None, False)}
    stored = _read(file) if file else {}
    try:
        RunConfig.model_validate(stored)
    except ValidationError as wrong:
        raise DataError(
            f"{file}: {_first(wrong)}.", hint="`privet config schema` lists every key."
        ) from None
    if any(name in given for name in PRIVACY_CHOICES):
        for name in PRIVACY_CHOICES:
            stored.pop(_kebab(name), None)
    try:
        return RunConfig.model_validate(stored | {_kebab(k): v for k, v in given.items()})
    except ValidationError as wrong:
        raise UsageError(
            f"{_first(wrong)}.", hint="`privet simulate -h` lists every flag with its range."
        ) from None


def _read(file: Path) -> dict[str, Any]:
    """Parse a TOML file, keys in kebab-case."""
    try:
        text = file.read_text(encoding="utf-8")
        return {_kebab(key): value for key, value in tomllib.loads(text).items()}
    except OSError as wrong:
        raise DataError(
            f"the configuration must be a readable file, got {file} ({wrong.strerror}).",
            hint="`privet config show` prints one to start from.",
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as wrong:
        raise DataError(
            f"the configuration must be TOML in UTF-8, got {file}: {wrong}.",
            hint="`privet config show` prints one to start from.",
        ) from None


def _first(wrong: ValidationError) -> str:
    """Say the first thing that is wrong, in one sentence."""
    first = wrong.errors()[0]
    field = ".".join(str(part) for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    return f"{field}: {message}" if field else message


def _toml(value: object) -> str:
    """Write one scalar as TOML."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(part) for part in value) + "]"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return repr(value)
