"""Ship: the card of a model that ships, of which version, from what, for what."""

from __future__ import annotations

import json
from collections.abc import Mapping

from geotransfer.core.cost import RunCost
from geotransfer.core.identity import hash_bytes, to_plain
from geotransfer.core.model import ModelVersion
from geotransfer.transfer.model import Model
from geotransfer.transfer.samples import Samples
from geotransfer.workflows.train import make_baseline_lineage

COMMAND = "geotransfer train TABLES --ship data"
"""What makes everything that ships."""


def write_card(
    model: Model,
    source: Samples,
    data: bytes,
    *,
    name: str,
    seed: int,
    attribution: str,
    told: Mapping[str, object],
) -> bytes:
    """Return the model card: version, lineage, schema, use and limits.

    Parameters
    ----------
    data
        The model file, not compressed: its content id is the model's.
    told
        What is said of this model alone, beside what every card says.
    """
    version = ModelVersion(
        model_id=hash_bytes(data),
        name=name,
        region_id=None,
        number=0,
        lineage=make_baseline_lineage(source, seed=seed, cost=RunCost()),
    )
    card = {
        "version": to_plain(version),
        "schema": {
            "spec": to_plain(model.spec),
            "spec_id": model.spec.spec_id,
            "features": list(model.spec.names),
            "legend": to_plain(model.legend),
            "training_samples": {"content_id": source.content_id, "n": len(source)},
        },
        "card": {
            "trained_on": sorted(model.source_region_ids),
            "kernel": to_plain(model.kernel),
            "attribution": attribution,
            "command": COMMAND,
            **told,
        },
    }
    return json.dumps(card, indent=1, sort_keys=True, ensure_ascii=False).encode()
