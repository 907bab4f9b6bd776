-- +goose Up
-- One row: which house this database is. It ties the database to its key store
-- (the secret opens only with the key "house:<id>" there), to its log key and
-- to its file, so that copied, mixed or cut files are noticed at start.
create table house (
	id         text        primary key,
	secret     bytea       not null,
	log_vkey   text        not null,
	file_id    text        not null,
	created_at timestamptz not null,
	checked_at timestamptz
);
