package request

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/mail"
	"github.com/tillid/tillid/internal/subject"
	"github.com/tillid/tillid/internal/text"
	"github.com/tillid/tillid/internal/web"
)

// digest mails staff once a day what is to be answered: numbers and days, nobody's data. It
// goes to the address for questions about data. On a day on which nothing waits it is not sent.
func (s *Service) digest(ctx context.Context) error {
	plan := s.Plan()
	now := s.Now().In(plan.Loc)
	if now.Hour() < digestHour || contact(plan) == "" {
		return nil
	}
	waiting, err := s.Waiting(ctx)
	if err != nil || len(waiting) == 0 {
		return err
	}
	if sent, err := sentToday(ctx, s.DB, now.Format(time.DateOnly)); err != nil || sent {
		return err // before a key is made that nobody would need
	}
	key, err := s.Mail.Prepare(ctx)
	if err != nil {
		return err
	}
	return s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error {
		first, err := firstToday(ctx, tx, now.Format(time.DateOnly))
		if err != nil || !first {
			return err
		}
		m := s.digestMail(waiting, plan.Languages[0])
		m.To = subject.Secret(contact(plan))
		return s.Mail.Queue(ctx, tx, m, key)
	})
}

// digestHour is from when on the day's letter goes out, in the controller's time.
const digestHour = 7

func (s *Service) digestMail(waiting []Waiting, l text.Lang) mail.Message {
	var lines []string
	for _, w := range waiting[:min(len(waiting), 100)] {
		left := text.T(l, "request.left.days", "Count", w.Days)
		if w.Overdue {
			left = text.T(l, "request.left.over", "Count", -w.Days)
		}
		lines = append(lines, fmt.Sprintf("%s %s: %s (%s)", w.Number, text.T(l, "request.kind."+string(w.Kind)), text.Date(l, w.Due.In(s.Plan().Loc)), left))
	}
	m := mail.Message{Subject: text.T(l, "request.digest.subject", "Count", len(waiting)), Automatic: true}
	blocks := []mail.Block{{Text: text.T(l, "request.digest.lead")}, {Points: lines}}
	if hosts := s.Plan().Backoffice.Hosts; len(hosts) > 0 {
		blocks = append(blocks, mail.Block{Link: "https://" + hosts[0] + "/requests"})
	}
	return m.Write(mail.Letter{Lang: l, Brand: s.Plan().Controller.LegalName, Blocks: blocks})
}

func sentToday(ctx context.Context, q db.Queryer, day string) (bool, error) {
	var n int
	if err := q.QueryRow(ctx, `select count(*) from rights_digest where day = $1`, day).Scan(&n); err != nil {
		return false, fmt.Errorf("find digest: %w", err)
	}
	return n > 0, nil
}

// firstToday notes that the letter of a day is sent; false when it was sent before.
func firstToday(ctx context.Context, tx *db.Tx, day string) (bool, error) {
	res, err := tx.Exec(ctx, `insert into rights_digest (day) values ($1) on conflict (day) do nothing`, day)
	if err != nil {
		return false, fmt.Errorf("note digest: %w", err)
	}
	n, err := res.RowsAffected()
	if err != nil || n == 0 {
		return false, err
	}
	_, err = tx.Exec(ctx, `delete from rights_digest where day < $1`, day)
	return true, err
}

// postCalendar makes a new secret address of the calendar, and shows it once. The one before
// ends.
func (s *Service) postCalendar(w http.ResponseWriter, r *http.Request) error {
	if _, err := staffForm(w, r); err != nil {
		return err
	}
	token := newToken()
	err := s.DB.Do(r.Context(), func(ctx context.Context, tx *db.Tx) error {
		if _, err := tx.Exec(ctx, `delete from rights_calendar`); err != nil {
			return fmt.Errorf("end calendar: %w", err)
		}
		_, err := tx.Exec(ctx, `insert into rights_calendar (h, made_at) values ($1, $2)`, s.hash("calendar", token), db.Time{Time: s.Now()})
		if err != nil {
			return fmt.Errorf("insert calendar: %w", err)
		}
		return s.audit(ctx, tx, "calendar", "")
	})
	if err != nil {
		return err
	}
	scheme := "http://"
	if web.HTTPS(r) {
		scheme = "https://"
	}
	p := calendarPage{Frame: s.House.Backoffice(r), Address: scheme + r.Host + "/calendar/" + token}
	p.Path, p.Active = "/requests", "/requests"
	return web.Render(w, http.StatusOK, pages(), "calendar", web.Backoffice, p)
}

type calendarPage struct {
	web.Frame
	Address string
}

// calendar is the feed (RFC 5545): each open case on its last day. Whoever has the address
// sees case numbers and kinds of right; nothing about anybody.
func (s *Service) calendar(w http.ResponseWriter, r *http.Request) error {
	var n int
	err := s.DB.QueryRow(r.Context(), `select count(*) from rights_calendar where h = $1`, s.hash("calendar", r.PathValue("token"))).Scan(&n)
	if err != nil {
		return fmt.Errorf("find calendar: %w", err)
	}
	if n == 0 {
		return web.NotFound(w, r)
	}
	waiting, err := s.Waiting(r.Context())
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/calendar; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	fmt.Fprint(w, ical(waiting, s.Now(), s.Plan().Loc, s.Plan().Languages[0]))
	return nil
}

// ical writes open cases as all-day events on their last day.
func ical(waiting []Waiting, now time.Time, loc *time.Location, l text.Lang) string {
	var b strings.Builder
	line := func(name, value string) { b.WriteString(fold(name + ":" + value)) }
	line("BEGIN", "VCALENDAR")
	line("VERSION", "2.0")
	line("PRODID", "-//Tillid//Requests//EN")
	line("CALSCALE", "GREGORIAN")
	for _, w := range waiting {
		line("BEGIN", "VEVENT")
		line("UID", w.Number+"@tillid")
		line("DTSTAMP", now.UTC().Format("20060102T150405Z"))
		line("DTSTART;VALUE=DATE", w.Due.In(loc).Format("20060102"))
		line("DTEND;VALUE=DATE", w.Due.In(loc).AddDate(0, 0, 1).Format("20060102"))
		line("SUMMARY", escaped(text.T(l, "request.calendar.summary", "Right", text.T(l, "request.kind."+string(w.Kind)), "Number", w.Number)))
		line("TRANSP", "TRANSPARENT")
		line("END", "VEVENT")
	}
	line("END", "VCALENDAR")
	return b.String()
}

// escaped writes a TEXT value (RFC 5545 section 3.3.11).
func escaped(s string) string {
	return strings.NewReplacer(`\`, `\\`, ";", `\;`, ",", `\,`, "\r\n", `\n`, "\n", `\n`).Replace(s)
}

// fold breaks a line at 75 octets, never inside a character (RFC 5545 section 3.1).
func fold(s string) string {
	var b strings.Builder
	width := 0
	for _, c := range s {
		if n := utf8.RuneLen(c); width+n > 75 {
			b.WriteString("\r\n ")
			width = 1 + n
		} else {
			width += n
		}
		b.WriteRune(c)
	}
	return b.String() + "\r\n"
}
