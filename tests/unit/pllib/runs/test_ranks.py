"""Ranks and jobs by what launchers leave in the environment; real launchers are in the integration tests."""

from __future__ import annotations

import pytest

from pllib.runs import ranks

OMPI = {"OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_LOCAL_SIZE": "2", "OMPI_MCA_ess_base_jobid": "1852768257"}
TORCH = {"WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2", "TORCHELASTIC_RUN_ID": "tuesday"}
SLURM = {"SLURM_JOB_ID": "77", "SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "4", "SLURM_CLUSTER_NAME": "c"}
MPICH = {"PMI_SIZE": "4", "SLURM_JOB_ID": "77", "SLURM_STEP_ID": "0"}
JOBS = [("OMPI_COMM_WORLD_RANK", OMPI), ("RANK", TORCH), ("SLURM_PROCID", SLURM), ("PMI_RANK", MPICH)]


@pytest.mark.parametrize(("variable", "job"), JOBS)
def test_the_ranks_of_a_job_have_numbers_of_their_own_and_one_job(variable, job):
    places = [ranks.place({**job, variable: str(rank)}) for rank in range(4)]
    assert [place.rank for place in places] == [0, 1, 2, 3]
    assert {place.size for place in places} == {4}
    (name,) = {place.job for place in places}
    assert name is not None
    assert not any(place.restarted for place in places)


@pytest.mark.parametrize(
    ("variable", "job", "other"),
    [
        ("OMPI_COMM_WORLD_RANK", OMPI, {"OMPI_MCA_ess_base_jobid": "7"}),
        ("RANK", TORCH, {"TORCHELASTIC_RUN_ID": "wednesday"}),
        ("SLURM_PROCID", SLURM, {"SLURM_JOB_ID": "78"}),
        ("SLURM_PROCID", SLURM, {"SLURM_STEP_ID": "1"}),
        ("SLURM_PROCID", SLURM, {"SLURM_CLUSTER_NAME": "d"}),
    ],
)
def test_another_job_has_another_name(variable, job, other):
    assert ranks.place({**job, variable: "0"}).job != ranks.place({**job, **other, variable: "0"}).job


def test_a_process_by_itself_has_no_rank():
    assert ranks.place({}) == (None, 1, None, False)


def test_the_one_process_of_a_batch_script_is_no_rank_of_the_job():
    batch = {"SLURM_JOB_ID": "77", "SLURM_PROCID": "0", "SLURM_NTASKS": "4"}
    assert ranks.place(batch) == (None, 1, None, False)


def test_a_job_of_one_has_a_rank_and_runs_of_its_own():
    assert ranks.place({"RANK": "0", "WORLD_SIZE": "1"}) == (0, 1, None, False)


def test_workers_that_srun_started_one_a_node_have_the_ranks_that_torchrun_gave():
    nested = {**SLURM, "SLURM_PROCID": "1", "RANK": "5", "WORLD_SIZE": "8", "TORCHELASTIC_RUN_ID": "none"}
    other = {**nested, "SLURM_PROCID": "0", "RANK": "0"}
    assert ranks.place(nested).rank == 5
    assert ranks.place(nested).job == ranks.place(other).job is not None


def test_mpirun_in_an_allocation_is_one_job_whatever_steps_slurm_made_of_it():
    first = {**OMPI, "SLURM_JOB_ID": "77", "OMPI_COMM_WORLD_RANK": "0"}
    second = {**first, "SLURM_STEP_ID": "3", "OMPI_COMM_WORLD_RANK": "3"}
    assert ranks.place(first).job == ranks.place(second).job is not None


def test_a_job_that_nothing_names_has_no_name():
    assert ranks.place({"RANK": "1", "WORLD_SIZE": "4", "TORCHELASTIC_RUN_ID": "none"}) == (1, 4, None, False)


def test_a_job_that_was_started_again_says_so():
    assert ranks.place({**TORCH, "RANK": "0", "TORCHELASTIC_RESTART_COUNT": "1"}).restarted
    assert not ranks.place({**TORCH, "RANK": "0", "TORCHELASTIC_RESTART_COUNT": "0"}).restarted


@pytest.mark.parametrize("rank", ["", "x", "-1", "1.5", "١"])
def test_a_variable_that_is_no_number_is_no_rank(rank):
    assert ranks.place({**TORCH, "RANK": rank}).rank is None
