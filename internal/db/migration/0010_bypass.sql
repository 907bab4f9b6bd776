-- +goose Up

-- gateway: sites that Tillid is out of the way of just now: nothing is enforced there and
-- no page is changed. It ends by itself. Impersonal: who switched it stands in the audit trail.
create table bypass (
    site     text        primary key,
    since    timestamptz not null,
    until_at timestamptz not null
);
