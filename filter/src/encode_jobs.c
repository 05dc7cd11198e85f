/* SPDX-License-Identifier: MIT */
/* Many frames at once through the stages of h5bragg.h, in threads. */
#include <string.h>

#include "h5bragg_peaks.h"
#include "worker_pool.h"

static void model(void *jobs, uint32_t i)
{
    h5bragg_job *job = (h5bragg_job *)jobs + i;
    job->rules = (h5bragg_rules){0};
    job->status = job->is_by_itself
                      ? H5BRAGG_OK
                      : h5bragg_stages_model(job->stages, job->counts, job->rule, &job->rules);
    if (!job->status && job->peak_limit && job->rules.is_ready)
        job->status = h5bragg_stages_peak_limits(job->stages, job->peak_limit);
}

static h5bragg_status pack_job(h5bragg_job *job)
{
    uint8_t *out = job->out;
    const size_t capacity = job->out_capacity < SIZE_MAX ? (size_t)job->out_capacity : SIZE_MAX;
    size_t start = 0;
    size_t nbytes = 0;
    h5bragg_status status = H5BRAGG_OK;
    if (job->is_chunk)
        status = h5bragg_stages_begin(job->stages, out, capacity, &start);
    if (!status)
        status =
            h5bragg_stages_pack(job->stages, job->frame, job->rules.is_ready ? job->chosen : NULL,
                                out + start, capacity - start, &nbytes, &job->is_by_itself);
    job->out_nbytes = start + nbytes;
    if (!status && job->is_chunk)
        status = h5bragg_stages_seal(out, start + nbytes);
    return status;
}

static void pack(void *jobs, uint32_t i)
{
    h5bragg_job *job = (h5bragg_job *)jobs + i;
    job->status = pack_job(job);
}

/* Jobs whose output goes to one place. */
typedef struct {
    const h5bragg_job *jobs;
    uint8_t *to;
} joined_jobs;

static void join(void *context, uint32_t i)
{
    const joined_jobs *joined = context;
    size_t start = 0;
    for (uint32_t k = 0; k < i; k++)
        start += (size_t)joined->jobs[k].out_nbytes;
    memcpy(joined->to + start, joined->jobs[i].out, (size_t)joined->jobs[i].out_nbytes);
}

static h5bragg_status first_failure(const h5bragg_job *jobs, uint32_t njobs)
{
    for (uint32_t k = 0; k < njobs; k++) {
        if (jobs[k].status)
            return jobs[k].status;
    }
    return H5BRAGG_OK;
}

h5bragg_status h5bragg_jobs_model(h5bragg_job *jobs, uint32_t njobs, h5bragg_pool *pool)
{
    if (!jobs)
        return H5BRAGG_BAD_ARGUMENT;
    pool_run(pool, model, jobs, njobs);
    return first_failure(jobs, njobs);
}

h5bragg_status h5bragg_jobs_pack(h5bragg_job *jobs, uint32_t njobs, h5bragg_pool *pool)
{
    if (!jobs)
        return H5BRAGG_BAD_ARGUMENT;
    pool_run(pool, pack, jobs, njobs);
    return first_failure(jobs, njobs);
}

h5bragg_status h5bragg_jobs_join(h5bragg_job *jobs, uint32_t njobs, h5bragg_pool *pool, void *to)
{
    joined_jobs joined = {.jobs = jobs, .to = to};
    if (!jobs || !to)
        return H5BRAGG_BAD_ARGUMENT;
    pool_run(pool, join, &joined, njobs);
    return H5BRAGG_OK;
}
