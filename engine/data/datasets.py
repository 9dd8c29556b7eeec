"""The data sets of images that kshot knows, as facts."""

from dataclasses import dataclass

from engine.errors import RequestError
from engine.nearest import suggestion
from engine.presets.schema import ImageTask

PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class Dataset:
    """One data set: its images, its splits, where it lies in the data folder, and how to get it.

    image_size and channels are those of its episodes, source_size the pixels a side of its files (None: any).
    groups are its archives or folders: the name in `parts` order or of its own, then the accepted file names.
    as_files: its images were published as files, without loss; else as a list, by which each makes a copy.
    """

    name: str
    summary: str
    image_size: int | None
    channels: int | None
    source_size: int | None
    images_per_class: int | None
    splits: tuple[str, ...]
    licence: str
    how: str
    folders: tuple[str, ...] = ()
    groups: tuple[tuple[str, ...], ...] = ()
    inverted: bool = False
    as_files: bool = True

    @property
    def default_split(self) -> str:
        """The split that `task.split: default` names."""
        return self.splits[0]


_PART_GROUPS = (("train",), ("val", "validation"), ("test",))

DATASETS: dict[str, Dataset] = {
    dataset.name: dataset
    for dataset in (
        Dataset(
            name="glyphs",
            summary="characters that never were, drawn by kshot: 1,600 classes of 20 drawings",
            image_size=28,
            channels=1,
            source_size=None,
            images_per_class=20,
            splits=("standard",),
            licence="kshot's own (MIT)",
            how="nothing to get: kshot draws them",
        ),
        Dataset(
            name="omniglot",
            summary="1,623 handwritten characters of 50 alphabets, 20 drawings each (Lake et al. 2015)",
            image_size=28,
            channels=1,
            source_size=105,
            images_per_class=20,
            splits=("finn", "vinyals", "original"),
            licence="MIT",
            how="kshot data fetch omniglot",
            folders=("omniglot", "omniglot-py"),
            groups=(("images_background",), ("images_evaluation",)),
            inverted=True,
        ),
        Dataset(
            name="miniimagenet",
            summary="100 ImageNet classes of 600 photographs (Vinyals 2016; split of Ravi & Larochelle 2017)",
            image_size=84,
            channels=3,
            source_size=84,
            images_per_class=600,
            splits=("ravi",),
            licence="ImageNet's terms: non-commercial research and education only",
            how="its licence forbids fetching it for you; accept ImageNet's terms at image-net.org, make it "
            "by the lists of Ravi & Larochelle, and place train, val and test (folders or zips, CLASS/IMAGE "
            "inside) in the folder miniimagenet of the data folder",
            folders=("miniimagenet", "mini-imagenet"),
            groups=_PART_GROUPS,
            as_files=False,
        ),
        Dataset(
            name="cifar-fs",
            summary="CIFAR-100's 100 classes of 600 photographs in a few-shot split (Bertinetto et al. 2019)",
            image_size=32,
            channels=3,
            source_size=32,
            images_per_class=600,
            splits=("bertinetto",),
            licence="none stated by its authors; cite Krizhevsky 2009",
            how="kshot data fetch cifar-fs",
            folders=("cifar-fs", "cifar_fs"),
            groups=_PART_GROUPS,
        ),
        Dataset(
            name="fc100",
            summary="CIFAR-100's photographs, superclasses held back for testing (Oreshkin et al. 2018)",
            image_size=32,
            channels=3,
            source_size=32,
            images_per_class=600,
            splits=("oreshkin",),
            licence="none stated by its authors; cite Krizhevsky 2009",
            # CIFAR-FS has the same images: only the split differs.
            how="kshot data fetch cifar-fs",
            folders=("cifar-fs", "cifar_fs", "fc100"),
            groups=_PART_GROUPS,
        ),
        Dataset(
            name="folder",
            summary="your own images: train, val and test (folders or zips), in each a folder a class",
            image_size=None,
            channels=None,
            source_size=None,
            images_per_class=None,
            splits=("folders",),
            licence="yours",
            how="place train, val and test (folders or zips, CLASS/IMAGE inside) in it",
            groups=_PART_GROUPS,
        ),
    )
}


def dataset_named(name: str) -> Dataset:
    """The data set of that name. Raises RequestError with the nearest name."""
    if name not in DATASETS:
        raise RequestError(f"no data set is named {name!r}{suggestion(name, DATASETS)}")
    return DATASETS[name]


def split_of(task: ImageTask) -> str:
    """The name of the task's split, `default` resolved. Raises RequestError for an unknown one."""
    dataset = DATASETS[task.dataset]
    if task.split == "default":
        return dataset.default_split
    if task.split not in dataset.splits:
        raise RequestError(
            f"task.split: {dataset.name} has no split {task.split!r}{suggestion(task.split, dataset.splits)}"
        )
    return task.split


def image_shape(task: ImageTask) -> tuple[int, int]:
    """Pixels a side and channels of a task's images. Raises RequestError where a folder leaves them open."""
    dataset = DATASETS[task.dataset]
    size = task.image_size or dataset.image_size
    channels = task.channels or dataset.channels
    if size is None or channels is None:
        missing = "task.image_size" if size is None else "task.channels"
        raise RequestError(
            f"{missing} is needed for dataset: folder (for example image_size: 84, channels: 3)"
        )
    return size, channels
