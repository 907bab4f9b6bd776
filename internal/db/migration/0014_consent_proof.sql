-- +goose Up

-- consent: until when each yes of a choice is relied upon (ends: JSON by item; ends_at: the
-- next of them that has not yet a leaf), and how the choice ended: by another one
-- (changed, withdrawn) or by itself (expired).
alter table choice add column ends text not null default '{}';
alter table choice add column ends_at timestamptz;
alter table choice add column ended_at timestamptz;
alter table choice add column ended text not null default '' check (ended in ('', 'changed', 'withdrawn', 'expired'));
alter table choice add column end_leaf text;
create index choice_ends on choice (ends_at) where ended = '' and kind = 'given';
create index choice_leaf on choice (leaf);

-- consent: how often the banner was shown to somebody who arrived at the site, by day and
-- language. Totals only: nothing tells one visitor from another.
create table banner_view (
    day   text   not null,
    lang  text   not null,
    count bigint not null check (count > 0),
    primary key (day, lang)
);

-- ledger: what witnesses have cosigned: the signature line for a checkpoint of that size.
create table cosignature (
    witness text        not null,
    size    bigint      not null references checkpoint (size),
    at      timestamptz not null,
    line    text        not null,
    primary key (witness, size)
);
