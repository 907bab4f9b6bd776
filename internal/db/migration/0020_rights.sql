-- +goose Up

-- request: what people asked for under the GDPR, as cases with a statutory clock.
-- due_at is what law.Answer says of the moments here and in rights_event; whether a
-- case is overdue is never stored.
create table rights_request_new (
  id          text primary key,
  number      text not null unique,
  kind        text not null check (kind in ('access', 'copy', 'portability', 'rectification', 'erasure', 'restriction',
                'objection', 'object_marketing', 'withdraw', 'complaint')),
  state       text not null check (state in ('received', 'identity_pending', 'identity_ok', 'assessing', 'executing', 'answering', 'closed')),
  outcome     text not null check (outcome in ('', 'granted', 'partly', 'refused', 'withdrawn', 'duplicate_of')),
  channel     text not null check (channel in ('portal', 'mail', 'letter', 'phone', 'person')),
  lang        text not null,
  received_at timestamptz not null,
  entered_at  timestamptz not null,
  due_at      timestamptz not null,
  told_at     timestamptz,
  closed_at   timestamptz,
  leaf        text not null,
  sealed      bytea not null
);
insert into rights_request_new (id, number, kind, state, outcome, channel, lang, received_at, entered_at, due_at, closed_at, leaf, sealed)
  select id, substr(id, 1, 12), kind, case state when 'answered' then 'closed' else 'executing' end,
    case state when 'answered' then 'granted' else '' end, 'portal', 'da', asked_at, asked_at, asked_at,
    case state when 'answered' then asked_at else null end, leaf, sealed
  from rights_request;
drop table rights_request;
alter table rights_request_new rename to rights_request;
create index rights_request_state on rights_request (state, due_at);

-- request: what happened to a case. Moments and kinds are what the clock needs; who did it
-- and what was written is sealed under the case's key.
create table rights_event (
  id      text primary key,
  request text not null,
  kind    text not null,
  at      timestamptz not null,
  sealed  bytea not null
);
create index rights_event_of on rights_event (request, at);
