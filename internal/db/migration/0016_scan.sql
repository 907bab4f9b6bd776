-- +goose Up

-- scan: the last look at each site, and what it found. Impersonal: names of cookies
-- and hosts, paths of pages without queries; no visitor has been there.
create table scan_run (
    site   text primary key,
    at     timestamptz not null,
    state  text not null check (state in ('done', 'failed')),
    pages  bigint not null,
    errors bigint not null,
    report text not null,
    patch  text not null,
    locked text not null
);
create table scan_finding (
    site     text not null,
    id       text not null,
    finding  text not null,
    first_at timestamptz not null,
    primary key (site, id)
);
