-- +goose Up

-- When a record's date was set last, and the period that was promised when it
-- was collected: event, duration, at-latest.
alter table record add column dated_at timestamptz;
alter table record add column promise text not null default '';
create index record_rule on record (rule, id);

-- The period of each rule as the sweeper has applied it last.
create table retention_rule (
	rule    text primary key,
	promise text not null
);

-- What was published of the days to come.
create table retention_forecast (
	at       timestamptz primary key,
	until_at timestamptz not null
);

-- What a person must approve before it is deleted.
create table retention_approval (
	id         text        primary key,
	kind       text        not null check (kind in ('shortened', 'unforeseen', 'clock')),
	rule       text        not null,
	old        text        not null,
	new        text        not null,
	records    bigint      not null,
	later      bigint      not null,
	state      text        not null check (state in ('asked', 'approved', 'declined')),
	asked_at   timestamptz not null,
	decided_at timestamptz,
	decided_by text        not null default '',
	done       boolean     not null default false,
	check ((state = 'asked') = (decided_at is null))
);
create index retention_approval_state on retention_approval (state, asked_at);
