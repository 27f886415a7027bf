"""Every error the product raises on purpose, in one tree.

::

    GeoTransferError
    ├── InputError                what the user gave cannot be used; exit code 2
    │   ├── OutlineInvalid        a region's outline
    │   ├── SceneInvalid          a scene's description: asset, CRS, scale, offset
    │   │   ├── BandMissing       a band that the region's spec needs
    │   │   └── ScaleMixed        scale or offset differ between bands of one scene
    │   ├── LabelsInvalid         a label file as a whole (single rows are rejected, not raised)
    │   ├── SpecMismatch          features that differ from what the model was trained on
    │   ├── TableInvalid          a feature table
    │   ├── DefinitionInvalid     a file that defines a legend, spec or sensor
    │   ├── LayerInvalid          a raster without a date: CRS, coverage, unit, years
    │   ├── SettingInvalid        a setting, flag or environment variable
    │   └── NotFound              a region, model, job or file that does not exist
    ├── SceneUnreadable           pixels that cannot be read
    ├── ModelInvalid              a stored model that is damaged or of another format
    ├── PromotionRefused          gates that did not pass; carries them
    ├── LeakRefused               an evaluation on rows a model has seen, or their neighbours
    ├── StoreError                the workspace cannot be read or written
    │   ├── WorkspaceTooNew       written by a newer version of the product
    │   ├── BlobConflict          other bytes under an existing content id
    │   └── DiskFull              no space left while writing; nothing half written remains
    ├── JobError
    │   ├── JobCancelled          somebody pressed cancel
    │   └── JobLost               the lease ran out and another worker took over
    └── DependencyMissing         a system library that must be installed by hand

A message is one sentence that names the file, row or band, and then the remedy.
"""

from __future__ import annotations


class GeoTransferError(Exception):
    """Root of all errors raised on purpose."""


class InputError(GeoTransferError):
    """What the user gave cannot be used."""


class OutlineInvalid(InputError):
    """A region's outline cannot be used."""


class SceneInvalid(InputError):
    """A scene's description is incomplete or contradicts itself."""


class BandMissing(SceneInvalid):
    """A scene lacks a band that the region's spec needs."""


class ScaleMixed(SceneInvalid):
    """Scale or offset differ between the bands of one scene."""


class LabelsInvalid(InputError):
    """A label file cannot be read as a whole."""


class SpecMismatch(InputError):
    """Features are not those the model was trained on."""


class TableInvalid(InputError):
    """A feature table cannot be used."""


class DefinitionInvalid(InputError):
    """A file that defines a legend, a feature spec or a sensor cannot be used."""


class LayerInvalid(InputError):
    """A layer without a date cannot be used: its CRS, coverage, unit or years."""


class SettingInvalid(InputError):
    """A setting has a value that cannot be used."""


class NotFound(InputError):
    """The thing named does not exist."""


class SceneUnreadable(GeoTransferError):
    """Pixels of a scene cannot be read.

    Attributes
    ----------
    scene_id
        Which scene; empty where no single one is at fault.
    """

    def __init__(self, message: str, scene_id: str = "") -> None:
        super().__init__(message, scene_id)
        self.scene_id = scene_id

    def __str__(self) -> str:
        """The sentence alone."""
        return str(self.args[0])


class ModelInvalid(GeoTransferError):
    """A stored model is damaged or of another format."""


class PromotionRefused(GeoTransferError):
    """Gates did not pass.

    Attributes
    ----------
    reasons
        One sentence per gate that failed.
    """

    def __init__(self, message: str, reasons: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.reasons = reasons


class LeakRefused(GeoTransferError):
    """The evaluation rows, or their neighbours, were used to train or choose the model."""


class StoreError(GeoTransferError):
    """The workspace cannot be read or written."""


class WorkspaceTooNew(StoreError):
    """The workspace was written by a newer version of the product."""


class BlobConflict(StoreError):
    """Other bytes exist under the same content id."""


class DiskFull(StoreError):
    """No space was left; nothing half written remains."""


class JobError(GeoTransferError):
    """A job did not end as asked."""


class JobCancelled(JobError):
    """Somebody pressed cancel."""


class WorkerLost(JobError):
    """Worker processes were killed again and again."""


class JobLost(JobError):
    """The lease ran out and another worker has taken the job over."""


class DependencyMissing(GeoTransferError):
    """A system library is missing that has to be installed by hand."""
