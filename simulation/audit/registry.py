# SPDX-License-Identifier: Apache-2.0
"""A run as a Tier 3 entry of the public registry of deployments, in YAML.

Every string is written in JSON's spelling, which YAML reads, so no YAML library is needed. The
fields, required words and enumerations are those of the registry's `deployments-schema.yaml`.
What only a person can state (region, authors, the status after review) is marked, and the command
lists it.

Source: OpenDP and NIST, registry of differential privacy deployments,
https://github.com/opendp/deployments-registry-data, schema as of 2026-07-15.
"""

import json
from typing import Any

from simulation.audit.figures import Facts

UNSTATED = "Not stated"
BY_A_PERSON = (
    "status (Draft until the registry's board reviews it)",
    "data_curators, data_product_region, registry_authors (free text that names people)",
    "publication_date (taken from the ledger; 1970-01-01 where it states no time)",
    "url_slug (the registry recomputes it from the curator and the name)",
)
"""Fields whose truth the schema cannot check."""


def entry(facts: Facts) -> dict[str, Any]:
    """Return the entry as nested objects, in the registry's order."""
    said = {row["name"]: row["value"] or UNSTATED for row in facts["fields"]}
    replayed = facts["replay"]
    private = replayed["epsilon"] is not None
    name = f"Recommender, run {replayed['run'][:12]}"
    deployment: dict[str, Any] = {
        "basic": {
            "name": name,
            "data_curators": [said["operator"]],
            "intended_use": said["purpose"],
            "data_product_type": "Machine learning model",
            "data_product_region": said["region and law"],
            "description": f"A federated recommender, {replayed['origin']}, "
            f"{replayed['rounds']} rounds among {replayed['users']} accounts.",
            "publication_date": facts["when"]["last"] or "1970-01-01",
        },
    }
    if private and facts["warning"] is None:
        deployment["dp_variant"] = {
            "variant_name": "Zero-concentrated DP",
            "data_domain": "All ratings and comments of one account on one device, as a vector "
            "of bounded norm.",
            "unprotected_quantities": "Taking part and its time; sizes of messages; comments "
            "published by their author.",
        }
        deployment["privacy_loss"] = {
            "privacy_unit": "user (enrolled account)",
            "privacy_unit_details": said["neighbouring relation"],
            "privacy_parameters": {
                "epsilon": float(replayed["epsilon"]),
                "delta": replayed["delta"],
                "rho": float(said["ρ (zCDP)"]),
            },
            "privacy_parameters_details": f"ε at δ: {said['ε at δ']}. "
            + " ".join(f"{row['who']}: {row['epsilon']}." for row in facts["protected"]),
        }
    deployment["deployment_model"] = {
        "model_name": {"distributed": "Federated", "central": "Central", "local": "Local"}[
            replayed["trust"]
        ],
        "model_name_details": said["who holds the noise"],
        "release_type": "Many releases",
        "release_type_details": f"{said['participations']} participations; {said['valid until']}",
        "data_source_type": "Static" if replayed["origin"] == "simulation" else "Dynamic",
        "access_type": "Non-interactive",
    }
    deployment["accounting"] = {
        "post_processing": "Shrinkage with the known noise variance; training of the model.",
        "composition": "ρ adds up over rounds (zCDP, adaptive); one session an account a round.",
    }
    deployment["implementation"] = {
        "preprocessing_and_hyperparameter_tuning": said["where settings come from"],
        "mechanisms": f"{said['noise']}; {said['bounding']}. {said['software']}",
        "justification": said["why this ε"],
    }
    deployment["administrative"] = {
        "notes": f"Ledger root {replayed['root']}. " + " ".join(facts["exceptions"]),
        "registry_authors": [said["operator"]],
    }
    slug = f"{said['operator']}_{name}".lower()
    slug = "_".join("".join(c if c.isalnum() else " " for c in slug).split())
    return {"url_slug": slug, "status": "Draft", "tier": 3, "deployment": deployment}


def yaml(value: Any, depth: int = 0) -> str:
    """Write nested objects as YAML, strings in JSON's spelling.

    Example:
        >>> print(yaml({"a": {"b": ["x: y", 1]}}), end="")
        a:
          b:
            - "x: y"
            - 1
    """
    pad, rows = "  " * depth, []
    items = value.items() if isinstance(value, dict) else ((None, entry) for entry in value)
    for name, found in items:
        head = f"{pad}- " if name is None else f"{pad}{name}:"
        if isinstance(found, dict | list):
            rows.append(f"{head.rstrip()}\n{yaml(found, depth + 1)}")
        else:
            gap = "" if name is None else " "
            rows.append(f"{head}{gap}{json.dumps(found, ensure_ascii=False)}\n")
    return "".join(rows)
