package publish

import (
	"slices"
	"strings"

	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/text"
)

// trigger says what starts a period: "publish.trigger.<event>" completes "3
// months after …". An event without words of its own is named as it is.
func (b *builder) trigger(event string) string {
	if _, known := policy.EventNamed(event); known {
		return text.T(b.lang, "publish.trigger."+event)
	}
	return text.T(b.lang, "publish.trigger.unknown", "Event", strings.ReplaceAll(event, ".", " "))
}

// when says when a rule acts, as the end of a sentence: "3 months after your
// case is closed".
func (b *builder) when(r *policy.Rule) string {
	if zero(r.Duration) {
		return text.T(b.lang, "publish.when.at_once", "Trigger", b.trigger(r.Trigger))
	}
	return text.T(b.lang, "publish.when.after", "Period", b.period(r.Duration), "Trigger", b.trigger(r.Trigger))
}

// retention says in words what a rule promises.
func (b *builder) retention(r *policy.Rule) []Sentence {
	path := "retention." + r.ID
	said := []Sentence{b.t(path+".duration", "retention."+r.Action, "When", b.when(r))}
	if r.AtLatest.Set && r.Trigger != "received" {
		said = append(said, b.t(path+".at_latest", "retention.at_latest", "Period", b.period(r.AtLatest)))
	}
	if len(r.Data) > 0 {
		said = append(said, b.t(path+".data", "retention.only", "Data", b.inline(b.dataLabels(r.Data))))
	}
	if r.Action == "ask_consent" {
		said = append(said, b.askConsent(r, path)...)
	}
	if r.Action == "anonymise" && len(r.Leaves) > 0 {
		said = append(said, b.t(path+".leaves", "retention.leaves", "Data", b.inline(b.dataLabels(r.Leaves))))
	}
	for _, stage := range r.Stages {
		if next := b.plan.Rule(stage.LeavesFor); next != nil {
			said = append(said, b.t(path+".stages."+stage.ID, "retention.stage", "Stage", b.stage(stage.ID), "When", b.when(next)))
		}
	}
	if f := r.Floor; f != nil {
		said = append(said, b.t(path+".floor", "retention.floor",
			"Data", b.inline(b.dataLabels(f.Data)), "Some", len(f.Data) > 0, "Period", b.period(f.Duration), "Law", b.lawName(f.Law)))
	}
	if r.Executor == "manual" {
		said = append(said, b.t(path+".executor", "retention.manual", "Owner", r.Owner))
	}
	if r.Reason.In(b.lang) != "" {
		said = append(said, b.own(path+".reason", "retention-reason", r.Reason).end())
	}
	return said
}

func (b *builder) askConsent(r *policy.Rule, path string) []Sentence {
	if r.IfConsent == nil {
		return []Sentence{b.t(path+".action", "retention.ask")}
	}
	return []Sentence{b.t(path+".if_consent", "retention.ask_for", "Period", b.period(r.IfConsent.Duration))}
}

// stages are the states that the catalogues have words for.
var stages = []string{"interviewing", "hired"}

func (b *builder) stage(id string) string {
	if slices.Contains(stages, id) {
		return text.T(b.lang, "publish.stage."+id)
	}
	return text.T(b.lang, "publish.stage.unknown", "Stage", strings.ReplaceAll(id, "_", " "))
}

// gone is the short answer of the table at the top: how long, in a few words.
func (b *builder) gone(r *policy.Rule) []Sentence {
	path := "retention." + r.ID
	key := "gone.after"
	if zero(r.Duration) {
		key = "gone.at_once"
	}
	said := []Sentence{b.t(path+".duration", key, "Period", b.period(r.Duration), "Trigger", b.trigger(r.Trigger))}
	if r.AtLatest.Set && r.Trigger != "received" {
		said = append(said, b.t(path+".at_latest", "gone.at_latest", "Period", b.period(r.AtLatest)))
	}
	if r.Action == "anonymise" || r.Action == "aggregate" {
		said = append(said, b.t(path+".action", "gone.anonymous"))
	}
	return said
}
