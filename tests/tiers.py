"""Which test belongs to which tier; `conftest.py` marks them so.

- fast (`make test-fast`): no subprocess, no Ray, no kill; what one runs at
  each edit.
- the rest (`make test` runs both): commands in processes of their own, and
  whatever traces many networks.
- slow (`make test-slow`): wheel, kills, several hosts, Ray, golden values, and
  the files that take longest. `.ci/run` names those that CI runs too.

A path is relative to `tests/`; a folder stands for all files in it.
"""

PROCESS = (
    "cost/test_fit.py",
    "data/test_evaluation_cache.py",
    "evaluation/test_evaluator.py",
    "evaluation/test_shared_statistics.py",
    "export/",
    "jobs/",
    "networks/test_aligned.py",
    "networks/test_subnet.py",
    "networks/test_supernet.py",
    "ops/test_segment_functions.py",
    "quantization/test_tfmot_adapter.py",
    "report/test_page.py",
    "test_pages.py",
    "test_keras_settings.py",
    "test_public_names.py",
    "test_round_trips.py",
    "test_run_lock.py",
    "test_spoilt_files.py",
    "tools/",
    "training/test_averaging.py",
    "training/test_callbacks.py",
    "training/test_path_optimizer.py",
    "training/test_team.py",
    "training/test_train_step.py",
    "training/test_trainer.py",
)

SLOW = (
    "conformance/",
    "data/test_tfds_sets.py",
    "evaluation/test_ray_pool.py",
    "evaluation/test_scorer.py",
    "evaluation/test_tree_evaluator.py",
    "export/test_export_formats.py",
    "export/test_lowbit_files.py",
    "export/test_measure_parts.py",
    "export/test_special_paths.py",
    "golden/",
    "jobs/test_class_names.py",
    "jobs/test_decoded_images.py",
    "jobs/test_export.py",
    "jobs/test_own_images.py",
    "jobs/test_same_images.py",
    "jobs/test_search_of_stored_scores.py",
    "jobs/test_search_workers.py",
    "jobs/test_train_jobs.py",
    "jobs/test_trust.py",
    "jobs/test_whole_jobs.py",
    "lowbit/test_deploy_form.py",
    "lowbit/test_onnx_deploy.py",
    "networks/test_elastic_bits.py",
    "networks/test_elastic_widths.py",
    "networks/test_int8_subnet.py",
    "test_notebooks.py",
    "test_readme.py",
    "tools/test_algorithms.py",
    "tools/test_bad_input",
    "tools/test_bits.py",
    "tools/test_build_latency_table.py",
    "tools/test_cells.py",
    "tools/test_chain.py",
    "tools/test_correlate.py",
    "tools/test_custom_space.py",
    "tools/test_hostile_files.py",
    "tools/test_killed_runs.py",
    "tools/test_limits.py",
    "tools/test_multi_worker.py",
    "tools/test_networks.py",
    "tools/test_pins.py",
    "tools/test_quantize.py",
    "tools/test_ray_search.py",
    "tools/test_search_by_truth.py",
    "tools/test_search_limits.py",
    "tools/test_train_subnet.py",
    "training/test_architecture_step.py",
    "training/test_connected_sampler.py",
    "training/test_jit_compile.py",
    "training/test_mirrored.py",
    "training/test_mixed_precision.py",
    "training/test_placement.py",
)


def tier_of(path: str) -> str:
    """`"slow"`, `"process"` or `"fast"`.

    Args:
        path: Of a test file, relative to `tests/`.
    """
    if path.startswith(SLOW):
        return "slow"
    return "process" if path.startswith(PROCESS) else "fast"
