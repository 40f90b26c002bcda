"""Check what a user passes; then serve rows by index: scaled, split, paired, in batches."""

from sklearn_mi.rows.batches import AnyOrder, Batch, Batches, HeldOutBatches, Order
from sklearn_mi.rows.blocks import BlockSource, files_of, index_columns, is_large, stored
from sklearn_mi.rows.checks import (
    CheckedRows,
    codes_like,
    empty_like_rows,
    from_torch,
    is_several,
    read_codes,
    read_pair,
    read_rows,
    read_table,
    warn_of_large_values,
    warn_of_targets,
)
from sklearn_mi.rows.columns import is_polars, is_polars_frame, spelling
from sklearn_mi.rows.confounds import (
    Residual,
    fit_confounds,
    read_confounds,
    residual_rows,
    without_confounds,
)
from sklearn_mi.rows.copies import count_copies, count_repeats, row_hashes, rows_to_draw, shares_of
from sklearn_mi.rows.data import Data
from sklearn_mi.rows.frames import (
    check_labels,
    check_names,
    check_types,
    columns_are_told,
    input_names,
    names_of,
    names_out,
    one_frame,
    warn_of_labels,
)
from sklearn_mi.rows.indexed import Rows
from sklearn_mi.rows.kinds import (
    KINDS,
    Image,
    Kind,
    Recording,
    Schema,
    Table,
    Volume,
    Words,
    kind_of,
)
from sklearn_mi.rows.lacking import (
    check_common,
    hide_lacking,
    present_in,
    tables_in,
    usable_of,
    warn_of_lacking,
)
from sklearn_mi.rows.pairs import AnyRows, PairedRows, PartnerRows
from sklearn_mi.rows.recordings import gathered, padded
from sklearn_mi.rows.scaling import (
    FrontLayer,
    Standardize,
    StandardizeSteps,
    are_mixed,
    find_flags,
    fit_standardize,
)
from sklearn_mi.rows.sources import Source, as_source
from sklearn_mi.rows.splits import split_rows
from sklearn_mi.rows.streams import Stream, StreamOrder, as_stream
from sklearn_mi.rows.weights import weighted
from sklearn_mi.rows.windows import WindowOrder, window_order
from sklearn_mi.rows.words import listed, told_of_values

__all__ = [
    "KINDS",
    "AnyOrder",
    "AnyRows",
    "Batch",
    "Batches",
    "BlockSource",
    "CheckedRows",
    "Data",
    "FrontLayer",
    "HeldOutBatches",
    "Image",
    "Kind",
    "Order",
    "PairedRows",
    "PartnerRows",
    "Recording",
    "Residual",
    "Rows",
    "Schema",
    "Source",
    "Standardize",
    "StandardizeSteps",
    "Stream",
    "StreamOrder",
    "Table",
    "Volume",
    "WindowOrder",
    "Words",
    "are_mixed",
    "as_source",
    "as_stream",
    "check_common",
    "check_labels",
    "check_names",
    "check_types",
    "codes_like",
    "columns_are_told",
    "count_copies",
    "count_repeats",
    "empty_like_rows",
    "find_flags",
    "fit_confounds",
    "fit_standardize",
    "from_torch",
    "gathered",
    "hide_lacking",
    "residual_rows",
    "row_hashes",
    "files_of",
    "index_columns",
    "input_names",
    "is_large",
    "is_polars",
    "is_polars_frame",
    "is_several",
    "kind_of",
    "listed",
    "names_of",
    "names_out",
    "one_frame",
    "padded",
    "present_in",
    "read_codes",
    "read_confounds",
    "read_pair",
    "read_rows",
    "read_table",
    "rows_to_draw",
    "shares_of",
    "spelling",
    "split_rows",
    "stored",
    "tables_in",
    "told_of_values",
    "usable_of",
    "warn_of_labels",
    "warn_of_lacking",
    "warn_of_large_values",
    "warn_of_targets",
    "weighted",
    "window_order",
    "without_confounds",
]
