-- +goose Up

-- Erasures that are not yet in the list beside the backups.
alter table erasure_list add column exported_at timestamptz;
create index erasure_list_waiting on erasure_list (erased_at) where exported_at is null;

-- A case of erasure may be one that a restore made necessary again.
alter table erasure_case add column cause text not null default 'request' check (cause in ('request', 'retention', 'closed', 'restore'));
update erasure_case set cause = reason;
alter table erasure_case drop column reason;
alter table erasure_case rename column cause to reason;

-- What stands beside the backups: since when, and how much of the list is ours.
-- log_origin is the log's name, when it is not that of its key; while mail is
-- held, no letter leaves.
alter table house add column exported_at timestamptz;
alter table house add column list_bytes bigint not null default 0;
alter table house add column log_origin text not null default '';
alter table house add column mail_held_at timestamptz;

-- Restores: where the log was cut, and what goes on from there under a new name.
create table restore (
    id         text        primary key,
    at         timestamptz not null,
    old_origin text        not null,
    old_size   bigint      not null,
    old_root   text        not null,
    size       bigint      not null,
    new_origin text        not null unique,
    erased     bigint      not null,
    reason     text        not null
);

-- Restore drills, each with its report. No personal data.
create table drill (
    id     text        primary key,
    at     timestamptz not null,
    backup text        not null,
    passed boolean     not null,
    report text        not null
);
create index drill_time on drill (at);
