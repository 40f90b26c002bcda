"""Which public names share a page of the reference, and which have none.

A concept has one page: a class, and the function that holds its formula. Tests compare the names
with those that the package exports.
"""

TOGETHER = {
    "sklearn_mi.bounds.InfoNCE": ["infonce", "infonce_terms"],
    "sklearn_mi.bounds.SymmetricInfoNCE": ["symmetric_infonce"],
    "sklearn_mi.bounds.MultiLabelCPC": ["multi_label_cpc"],
    "sklearn_mi.bounds.NWJ": ["nwj", "nwj_of_ratio"],
    "sklearn_mi.bounds.DonskerVaradhan": ["donsker_varadhan"],
    "sklearn_mi.bounds.JensenShannon": ["jensen_shannon"],
    "sklearn_mi.bounds.SMILE": ["smile"],
    "sklearn_mi.bounds.InfoNCEAnchor": ["infonce_anchor"],
    "sklearn_mi.bounds.TUBA": ["tuba"],
    "sklearn_mi.bounds.Interpolated": ["interpolated"],
    "sklearn_mi.bounds.FLO": ["flo"],
    "sklearn_mi.bounds.Bound": ["log_partition"],
    "sklearn_mi.critics.InnerProduct": ["inner_scores"],
    "sklearn_mi.critics.Cosine": ["cosine_scores"],
    "sklearn_mi.critics.Cauchy": ["cauchy_scores"],
    "sklearn_mi.datasets.toy_pairs": ["toy_true_mi", "toy_ceiling"],
    "sklearn_mi.datasets.fetch_mnist": ["data_home"],
    "sklearn_mi.negatives.Hard": ["hardest"],
    "sklearn_mi.negatives.SemiHard": ["semi_hard"],
    "sklearn_mi.negatives.OtherGroups": ["other_groups"],
    "sklearn_mi.negatives.Independent": ["next_columns"],
    "sklearn_mi.objectives.KPair": ["k_pair"],
    "sklearn_mi.objectives.Triplet": ["triplet"],
    "sklearn_mi.objectives.DecoupledInfoNCE": ["decoupled_infonce"],
    "sklearn_mi.objectives.Debiased": ["debiased"],
    "sklearn_mi.objectives.HardNegatives": ["hard_negatives"],
    "sklearn_mi.objectives.SigLIP": ["siglip"],
    "sklearn_mi.objectives.Wasserstein": ["gradient_penalty"],
    "sklearn_mi.objectives.Spectral": ["spectral"],
    "sklearn_mi.objectives.AlignUniform": ["align_uniform"],
    "sklearn_mi.objectives.BarlowTwins": ["barlow_twins"],
    "sklearn_mi.objectives.VICReg": ["vicreg"],
    "sklearn_mi.training.Muon": ["orthogonalised"],
}
# What the package builds from names and modules that users pass.
INTERNAL = {
    "critics": {"Factory", "Ready", "as_critic"},
    "encoders": {"Factory", "Ready", "as_encoder", "code_width", "ChannelsFirst", "DEFAULT_WIDTH"},
    "callbacks": {
        "Progress",
        "check_callbacks",
        "check_stops",
        "copy_callbacks",
        "cure_of_stoppers",
        "may_watch",
        "sets_rate",
        "stoppers",
        "watchers",
        "with_early_stopping",
    },
    "front_ends": {"as_front_end", "fit_first_layers", "names_of_features"},
    "views": {"as_view"},
    "negatives": {"as_negatives"},
    "objectives": {"as_objective"},
    "comparisons": {"as_comparison", "mean_over"},
}
