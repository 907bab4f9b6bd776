-- +goose Up

-- Persons, their identifiers and the register of records.
create table person (
    id         text primary key,
    created_at timestamptz not null
);

create table identifier (
    id         text primary key,
    person     text not null references person (id),
    kind       text not null check (kind in ('email', 'phone', 'visitor')),
    lookup     bytea not null,
    value      bytea not null,
    created_at timestamptz not null,
    unique (kind, lookup)
);
create index identifier_person on identifier (person);

create table record (
    id           text primary key,
    person       text not null references person (id),
    holder       text not null,
    kind         text not null,
    purpose      text not null,
    rule         text not null,
    version      text not null,
    received_at  timestamptz not null,
    triggered_at timestamptz,
    due_at       timestamptz not null
);
create index record_person on record (person);
create index record_due on record (due_at, id);

-- What is handed to processors: outbox, foreign reference and log of disclosures in one row.
create table handover (
    id           text primary key,
    record       text not null references record (id),
    person       text not null,
    engagement   text not null,
    purpose      text not null,
    legal_basis  text not null,
    categories   text not null,
    channel      text not null,
    state        text not null check (state in ('waiting', 'attempted', 'sent', 'refused')),
    ref          bytea,
    queued_at    timestamptz not null,
    attempted_at timestamptz,
    sent_at      timestamptz,
    unique (record, engagement)
);
create index handover_person on handover (person);

-- Erasure. No row here holds a direct identifier; what a case needs of foreign
-- references is sealed with the key of the case until it ends.
create table erasure_case (
    id             text primary key,
    person         text,
    reason         text not null check (reason in ('request', 'retention', 'closed')),
    rule           text not null,
    version        text not null,
    state          text not null check (state in ('open', 'closed')),
    result         text not null check (result in ('', 'granted', 'partly')),
    opened_at      timestamptz not null,
    deadline_at    timestamptz not null,
    local_at       timestamptz,
    keys_at        timestamptz,
    closed_at      timestamptz,
    keys_destroyed bigint not null,
    row_count      text not null,
    leaf           text not null
);
create index erasure_case_state on erasure_case (state, opened_at);
create index erasure_case_person on erasure_case (person);

create table erasure_task (
    id              text primary key,
    case_id         text not null references erasure_case (id),
    kind            text not null check (kind in ('local', 'processor')),
    store           text not null,
    record          text not null,
    sealed          bytea,
    state           text not null check (state in ('planned', 'commanded', 'acknowledged', 'effective', 'verified',
                        'retry_wait', 'manual', 'retained', 'not_found', 'blocked_by_hold', 'not_deletable', 'failed')),
    code            text not null,
    attempts        bigint not null,
    next_at         timestamptz,
    search_after    timestamptz,
    planned_at      timestamptz not null,
    commanded_at    timestamptz,
    acknowledged_at timestamptz,
    effective_at    timestamptz,
    probed_at       timestamptz,
    verified_at     timestamptz,
    request_id      text not null
);
create index erasure_task_case on erasure_task (case_id);
create index erasure_task_state on erasure_task (state);
create index erasure_task_record on erasure_task (record);

create table certificate (
    id        text primary key,
    case_id   text not null references erasure_case (id),
    final     boolean not null,
    issued_at timestamptz not null,
    note      text not null
);
create index certificate_case on certificate (case_id);

create table hold (
    id          text primary key,
    scope       text not null check (scope in ('record', 'person', 'purpose')),
    target      text not null,
    reason      text not null,
    owner       text not null,
    review_at   timestamptz not null,
    created_at  timestamptz not null,
    released_at timestamptz
);

create table erasure_list (
    pseudonym text primary key,
    kind      text not null check (kind in ('record', 'person')),
    case_id   text not null,
    erased_at timestamptz not null
);
create index erasure_list_time on erasure_list (erased_at);

-- Retention.
create table retention_run (
    id         text primary key,
    started_at timestamptz not null,
    ended_at   timestamptz not null,
    due        bigint not null,
    held       bigint not null,
    manual     bigint not null,
    deleted    bigint not null,
    failed     bigint not null,
    forecast   text not null
);
create index retention_run_time on retention_run (ended_at);

create table retention_task (
    record     text primary key,
    rule       text not null,
    owner      text not null,
    due_at     timestamptz not null,
    created_at timestamptz not null
);
