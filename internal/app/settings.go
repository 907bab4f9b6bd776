package app

import (
	"bufio"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/tillid/tillid/internal/backup"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/file"
	"github.com/tillid/tillid/internal/ledger"
	"github.com/tillid/tillid/internal/mail"
)

// Settings are the few things about a house that its declaration does not say:
// where its database is and how mail leaves. They come from the environment and
// from settings.env in the house's folder (KEY=VALUE lines); the folder wins,
// so that one process can serve many houses.
//
// Every variable X may be given as X_FILE, the path of a file that holds it.
type Settings struct {
	Database string // TILLID_DATABASE_URL: postgres://…; empty: tillid.db in the folder
	KeyStore string // TILLID_KEYS_URL: postgres://…; empty: keys.db in the folder
	KEK      string // TILLID_KEK: 32 bytes, base64; empty: the file kek in the folder
	SMTP     string // TILLID_SMTP_URL: smtp://user:password@host:port
	MailFrom string // TILLID_MAIL_FROM; empty: the controller's address
	Scan     string // TILLID_SCAN: off switches the nightly look at the sites off
	Clamd    string // TILLID_CLAMD: unix:/run/clamav/clamd.ctl; empty: uploads are not scanned
	IMAP     string // TILLID_IMAP_URL: imaps://user:password@host:993/INBOX; empty: no mailbox is read
	Witness  string // TILLID_WITNESSES: "URL KEY", several with commas between; empty: nobody cosigns the log

	Backups    string // TILLID_BACKUP_DIR: folder of the backups and the erasure list; empty: backup in the folder
	KeyBackups string // TILLID_BACKUP_KEYS_DIR: folder of the key store's backups; empty: backup-keys in the folder
	Recipients string // TILLID_BACKUP_RECIPIENTS: who can open backups (age1…); empty: no backups are made
}

var settingNames = []string{
	"TILLID_DATABASE_URL", "TILLID_KEYS_URL", "TILLID_KEK", "TILLID_SMTP_URL", "TILLID_MAIL_FROM", "TILLID_WITNESSES", "TILLID_SCAN", "TILLID_CLAMD", "TILLID_IMAP_URL",
	"TILLID_BACKUP_DIR", "TILLID_BACKUP_KEYS_DIR", "TILLID_BACKUP_RECIPIENTS",
}

// readSettings reads a house's settings; getenv is os.Getenv or a test's own.
func readSettings(dir string, getenv func(string) string) (Settings, error) {
	own, err := readEnvFile(filepath.Join(dir, "settings.env"))
	if err != nil {
		return Settings{}, err
	}
	get := func(name string) (string, error) {
		for _, from := range []func(string) string{func(n string) string { return own[n] }, getenv} {
			if v := from(name); v != "" {
				return v, nil
			}
			if path := from(name + "_FILE"); path != "" {
				b, err := os.ReadFile(path)
				if err != nil {
					return "", fault.New(fault.Invalid, "%s_FILE names a file that cannot be read.", name).Because(err)
				}
				return strings.TrimSpace(string(b)), nil
			}
		}
		return "", nil
	}
	var s Settings
	for i, into := range []*string{&s.Database, &s.KeyStore, &s.KEK, &s.SMTP, &s.MailFrom, &s.Witness, &s.Scan, &s.Clamd, &s.IMAP, &s.Backups, &s.KeyBackups, &s.Recipients} {
		if *into, err = get(settingNames[i]); err != nil {
			return Settings{}, err
		}
	}
	if _, err := s.cosigners(); err != nil {
		return Settings{}, err
	}
	if s.IMAP != "" {
		if err := mail.CheckBox(s.IMAP); err != nil {
			return Settings{}, err
		}
	}
	if _, err := s.scanner(); err != nil {
		return Settings{}, err
	}
	if _, err := backup.ParseRecipients(s.Recipients); err != nil {
		return Settings{}, err
	}
	for into, name := range map[*string]string{&s.Backups: "backup", &s.KeyBackups: "backup-keys"} {
		if *into == "" {
			*into = filepath.Join(dir, name)
		}
	}
	if (s.Database == "") != (s.KeyStore == "") {
		return Settings{}, fault.New(fault.Invalid, "Only one of TILLID_DATABASE_URL and TILLID_KEYS_URL is set.").
			WithHint("A house on PostgreSQL needs two databases: one for its data and one for its keys.")
	}
	if s.Database != "" && s.Database == s.KeyStore {
		return Settings{}, fault.New(fault.Invalid, "TILLID_DATABASE_URL and TILLID_KEYS_URL name the same database.").
			WithHint("Keys must live apart from the data, so that a destroyed key is gone from every backup of the data.")
	}
	return s, nil
}

// scanner is the virus scanner, or nil.
func (s Settings) scanner() (*file.Clamd, error) {
	if s.Clamd == "" {
		return nil, nil
	}
	return file.ParseClamd(s.Clamd)
}

// cosigners reads who cosigns the log.
func (s Settings) cosigners() ([]ledger.Cosigner, error) {
	var all []ledger.Cosigner
	for one := range strings.SplitSeq(s.Witness, ",") {
		if strings.TrimSpace(one) == "" {
			continue
		}
		c, err := ledger.ParseCosigner(one)
		if err != nil {
			return nil, fault.New(fault.Invalid, "TILLID_WITNESSES: %v.", err).
				WithHint("Write the address, a space, and the key that tillid witness prints at its start.")
		}
		all = append(all, c)
	}
	return all, nil
}

// readEnvFile reads KEY=VALUE lines; a missing file is empty.
func readEnvFile(name string) (map[string]string, error) {
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fault.New(fault.Invalid, "%s cannot be read.", name).Because(err)
	}
	defer f.Close()
	values := map[string]string{}
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		key = strings.TrimSpace(key)
		if !ok || !known(strings.TrimSuffix(key, "_FILE")) {
			return nil, fault.New(fault.Invalid, "%s:%d: %q is not a setting.", name, n, key).
				WithHint("Known: %s, each also with _FILE.", strings.Join(settingNames, ", "))
		}
		values[key] = strings.Trim(strings.TrimSpace(value), `"'`)
	}
	return values, lines.Err()
}

func known(name string) bool {
	for _, n := range settingNames {
		if n == name {
			return true
		}
	}
	return false
}
