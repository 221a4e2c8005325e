"""The regions of the AAL atlas, in the order of its 116 x 116 matrices (:cite:`tzourio2002`)."""

from __future__ import annotations

# From the front of the brain to its back, as the atlas numbers them: each region left and then right.
_LOBES = {
    "frontal": "Precentral Frontal_Sup Frontal_Sup_Orb Frontal_Mid Frontal_Mid_Orb Frontal_Inf_Oper Frontal_Inf_Tri "
    "Frontal_Inf_Orb Rolandic_Oper Supp_Motor_Area Olfactory Frontal_Sup_Medial Frontal_Med_Orb Rectus",
    "limbic": "Insula Cingulum_Ant Cingulum_Mid Cingulum_Post Hippocampus ParaHippocampal Amygdala",
    "occipital": "Calcarine Cuneus Lingual Occipital_Sup Occipital_Mid Occipital_Inf Fusiform",
    "parietal": "Postcentral Parietal_Sup Parietal_Inf SupraMarginal Angular Precuneus Paracentral_Lobule",
    "subcortical": "Caudate Putamen Pallidum Thalamus",
    "temporal": "Heschl Temporal_Sup Temporal_Pole_Sup Temporal_Mid Temporal_Pole_Mid Temporal_Inf",
    "cerebellum": "Cerebelum_Crus1 Cerebelum_Crus2 Cerebelum_3 Cerebelum_4_5 Cerebelum_6 Cerebelum_7b Cerebelum_8 "
    "Cerebelum_9 Cerebelum_10",
}
_VERMIS = ["1_2", "3", "4_5", "6", "7", "8", "9", "10"]  # the middle of the cerebellum, which has no sides

AAL116: tuple[str, ...] = (
    *(f"{name}_{side}" for names in _LOBES.values() for name in names.split() for side in "LR"),
    *(f"Vermis_{number}" for number in _VERMIS),
)
"""The name of each region, spelt as the atlas spells it: ``explanation.plot(labels=(AAL116, AAL116))``."""

AAL116_LOBES: tuple[str, ...] = (
    *(lobe for lobe, names in _LOBES.items() for _ in names.split() for _ in "LR"),
    *("cerebellum" for _ in _VERMIS),
)
"""The part of the brain that each region lies in: ``explanation.plot(groups=AAL116_LOBES)``."""
