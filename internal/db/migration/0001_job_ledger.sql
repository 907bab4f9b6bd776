-- +goose Up

-- Work to be done in the background; see package job.
create table job (
	id          text        primary key,
	kind        text        not null,
	payload     text        not null,
	state       text        not null default 'ready' check (state in ('ready', 'running', 'dead')),
	attempt     bigint      not null default 0 check (attempt >= 0),
	run_at      timestamptz not null,
	lease       text,
	lease_until timestamptz,
	unique_key  text        unique,
	last_error  text,
	check ((state = 'running') = (lease is not null)),
	check ((lease is null) = (lease_until is null))
);
create index job_due on job (state, run_at);

-- Work that runs again and again; a row appears when its work first runs.
create table periodic (
	name        text        primary key,
	first_at    timestamptz not null,
	success_at  timestamptz,
	next_at     timestamptz not null,
	lease       text,
	lease_until timestamptz,
	last_error  text,
	check ((lease is null) = (lease_until is null))
);

-- The Merkle log; see package ledger. A leaf without idx waits for its number.
create table leaf (
	id      text        primary key,
	idx     bigint      unique check (idx >= 0),
	kind    text        not null,
	at      timestamptz not null,
	version text        not null,
	body    text        not null,
	hash    bytea       not null
);
create index leaf_waiting on leaf (at, id) where idx is null;

-- Hashes of the tree by their place in tlog's storage order. Those of leaves
-- name their leaf and carry the log key's signature over number and hash.
create table tree_hash (
	pos  bigint primary key check (pos >= 0),
	hash bytea  not null,
	leaf text,
	seal bytea,
	check ((leaf is null) = (seal is null))
);

-- Every signed state of the log.
create table checkpoint (
	size bigint      primary key check (size > 0),
	root bytea       not null,
	at   timestamptz not null,
	note text        not null
);

-- Who numbers leaves at the moment.
create table sequencer (
	id     bigint      primary key check (id = 1),
	holder text        not null,
	until  timestamptz not null
);
