-- +goose Up

-- mail: letters that wait for the relay, each sealed under a key of its own.
create table mail (
  id        text primary key,
  record    text,
  state     text not null check (state in ('queued', 'refused')),
  answer    text not null default '',
  queued_at timestamptz not null,
  sealed    bytea not null
);
create index mail_record on mail (record);

-- intake: what people sent through a form, one row each, under its record's id.
create table enquiry (
  id          text primary key,
  form        text not null,
  kind        text not null check (kind in ('enquiry', 'callback', 'other')),
  number      text not null unique,
  idem        text not null unique,
  state       text not null check (state in ('open', 'closed')),
  quarantine  text not null check (quarantine in ('', 'honeypot', 'fast', 'token', 'many')),
  lang        text not null,
  consents    text not null,
  received_at timestamptz not null,
  receipt_at  timestamptz,
  answered_at timestamptz,
  closed_at   timestamptz,
  leaf        text not null,
  promise     text not null,
  sealed      bytea not null
);
create index enquiry_list on enquiry (state, received_at);

-- intake: what happened to an enquiry; who did it and what was written is sealed.
create table enquiry_event (
  id      text primary key,
  enquiry text not null,
  kind    text not null check (kind in ('opened', 'answered', 'noted', 'released')),
  at      timestamptz not null,
  sealed  bytea not null
);
create index enquiry_event_of on enquiry_event (enquiry, at);

-- request: somebody asked for a link to the portal; lives for an hour.
create table portal_ask (
  id       text primary key,
  h        text not null,
  lang     text not null,
  asked_at timestamptz not null,
  sealed   bytea
);
create index portal_ask_h on portal_ask (h, asked_at);

-- request: links sent and portal sessions; only hashes of their tokens are kept.
create table portal_link (
  h       text primary key,
  person  text not null,
  expires timestamptz not null,
  used_at timestamptz
);
create table portal_session (
  h       text primary key,
  person  text not null,
  expires timestamptz not null,
  ends    timestamptz not null
);

-- request: what people asked for under the GDPR, under its record's id.
create table rights_request (
  id       text primary key,
  kind     text not null check (kind in ('access', 'erasure')),
  state    text not null check (state in ('answered', 'running')),
  asked_at timestamptz not null,
  leaf     text not null,
  sealed   bytea not null
);
