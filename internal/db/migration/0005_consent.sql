-- +goose Up

-- consent: one row for each choice about cookies and services. A yes, a change and a
-- withdrawal have the id of their record; a no has a random id and is about nobody.
create table choice (
    id      text primary key,
    kind    text not null check (kind in ('given', 'refused', 'withdrawn')),
    at      timestamptz not null,
    lang    text not null,
    layer   text not null check (layer in ('banner', 'page', 'placeholder', 'api')),
    control text not null,
    version text not null,
    shown   text not null,
    granted text not null,
    leaf    text not null,
    sealed  bytea,
    check ((kind = 'refused') = (sealed is null))
);
create index choice_time on choice (at);

-- gateway: what the site did that is not declared or not allowed. Impersonal: a host,
-- cookie or header and the page's path with what may be an id taken out.
create table drift (
    site     text not null,
    kind     text not null check (kind in ('request', 'cookie', 'header')),
    subject  text not null,
    detail   text not null,
    page     text not null,
    service  text not null,
    enforced boolean not null,
    first_at timestamptz not null,
    last_at  timestamptz not null,
    count    bigint not null,
    primary key (site, kind, subject, detail, page, service, enforced)
);
create index drift_time on drift (last_at);
