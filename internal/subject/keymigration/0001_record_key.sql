-- +goose Up
create table record_key (
    record      text primary key,
    wrapped     bytea not null,
    kek_version bigint not null,
    created_at  timestamptz not null
);
create index record_key_age on record_key (created_at);
