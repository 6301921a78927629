"""Which range the images of more than 8 bits of a data set are scaled with.

Invariant: the range that a preparation of the same sources used is used again, so that new images change no old ones.
"""

from __future__ import annotations

from trainingrun_agent.prep.image.intensity import FULL, IntensityRange, Scaling
from trainingrun_agent.prep.image.sampling import sampled_range
from trainingrun_agent.prep.model.codes.image_files import INTENSITY_SCALED
from trainingrun_agent.prep.model.findings import Finding
from trainingrun_agent.prep.request import PrepareRequest
from trainingrun_agent.prep.source.listing import Listing
from trainingrun_agent.prep.source.place import Place
from trainingrun_agent.prep.store.previous import PreviousDataset


def given_scaling(request: PrepareRequest) -> Scaling | None:
    """The range that the request names."""
    pair = request.dataset.intensity_range
    return None if pair is None else Scaling(IntensityRange(*pair), given=True)


def found_scaling(request: PrepareRequest, train: Listing, earlier: PreviousDataset) -> Scaling | None:
    """The range of an earlier preparation, or else of the images for training; None if they need none.

    Raises what storage raises, Interrupted.
    """
    found = earlier.intensity
    if found is None:
        source = request.dataset.train
        request.progress.current.reading(f"some images of {source}")
        found = sampled_range(Place(request.store_for(source.bucket), source.key), train.images, request.stop)
        request.progress.current.reading("")
    return None if found is None else Scaling(found)


def scaling_findings(scaling: Scaling | None) -> list[Finding]:
    """What the report says about the range."""
    if scaling is None:
        return []
    low, high = scaling.range
    case = "given" if scaling.given else "full" if scaling.range == FULL else "found"
    return [Finding(INTENSITY_SCALED, "", {"case": case, "low": low, "high": high}, wide=True)]
