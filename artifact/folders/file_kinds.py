"""What a file of people's folders is by its name: a photo, or which other thing.

The one list for preparation and training. It opens no file.
"""

from artifact.photos.kinds import SUFFIXES

PHOTO_SUFFIXES = SUFFIXES | {".jxl"}  # JPEG XL is refused by its name, and never passed by
RECIPE_FILE = "recipe.yaml"  # of a project, in its folder
TEXTS = "texts and lists"
UNFINISHED = "unfinished downloads"
SYSTEM_FILES = "system files"
HIDDEN = "hidden files"
PROGRAMS = "programs"
SYSTEM_FOLDERS = "system folders"
HIDDEN_FOLDERS = "hidden folders"
NO_SUFFIX = "without suffix"
NO_PHOTOS = "no photos by their first bytes"
# Kinds that lie beside photos. Their folder has lost nothing when it holds them alone.
BESIDE_PHOTOS = frozenset(
    # annotations often have no suffix
    {TEXTS, SYSTEM_FILES, HIDDEN, PROGRAMS, SYSTEM_FOLDERS, HIDDEN_FOLDERS, NO_PHOTOS}
)

_SUFFIXES_OF = {
    "videos": ".mov .mp4 .m4v .avi .mkv .webm .3gp .mts .m2ts .wmv .mpg .mpeg .lrv .insv",
    "sidecar files": ".aae .xmp .thm .pp3 .dop .on1 .cos",
    "raw photos": ".cr2 .cr3 .nef .nrw .arw .dng .raf .orf .rw2 .pef .srw .x3f .iiq",
    "drawings": ".svg .psd .ai .eps .xcf .pdf",
    "sounds": ".mp3 .wav .m4a .aac .ogg .flac",
    "archives": ".zip .gz .tgz .tar .bz2 .xz .7z .rar .rec .tfrecord",
    "arrays": ".npy .npz .pkl .mat .h5 .hdf5 .pt .pth .safetensors .onnx",
    UNFINISHED: ".part .partial .crdownload .download .tmp .icloud",
    TEXTS: ".txt .md .rst .html .htm .doc .docx .odt .rtf .log .csv .tsv .json .jsonl .manifest "
    ".xml .yaml .yml .ini .cfg .lst .xls .xlsx .ods .url .webloc",
    PROGRAMS: ".py .pyc .ipynb .sh .bat .exe .dll .js .css",
    SYSTEM_FILES: ".db .db-journal .lnk .bak",
}
_KIND_OF = {suffix: kind for kind, text in _SUFFIXES_OF.items() for suffix in text.split()}
_SYSTEM_NAMES = frozenset({"thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini"})
# Names in lower case. Synology, QNAP, Windows and macOS put copies of photos into some of them.
_SYSTEM_FOLDERS = frozenset(
    {
        *("@eadir", "#recycle", "@recycle", "#snapshot", "@recently-snapshot", "@tmp"),
        *("$recycle.bin", "recycler", "system volume information", "found.000"),
        *("__macosx", "lost+found", "__pycache__"),
    }
)


def suffix_of(name: str) -> str:
    """`.jpg` in lower case; "" for a name without."""
    dot = name.rfind(".")  # os.path.splitext is slower, for a million names
    return name[dot:].lower() if dot > 0 else ""


def kind_of_file(name: str, suffix: str) -> str | None:
    """What a file is by its name, when that is no photo; None where its contents decide."""
    if suffix == ".icloud":  # .IMG_0001.HEIC.icloud stands for a photo that is not here
        return UNFINISHED
    if name.startswith("."):
        return HIDDEN
    if name.lower() in _SYSTEM_NAMES:
        return SYSTEM_FILES
    return _KIND_OF.get(suffix)


def kind_of_folder(name: str) -> str | None:
    """What a folder is, when no photo in it counts; None for any other."""
    if name.lower() in _SYSTEM_FOLDERS:
        return SYSTEM_FOLDERS
    return HIDDEN_FOLDERS if name.startswith(".") else None
