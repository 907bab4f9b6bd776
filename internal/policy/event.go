package policy

// Event is something that can start a retention period. The table is published
// (tillid explain --events); lint refuses a trigger that nothing emits, because its
// period would never start.
type Event struct {
	Name      string
	EmittedBy string // package of this program; "" when only a person can note it (executor: manual)
	Means     string
}

// Events returns the events that this program knows, each with who emits it.
func Events() []Event {
	return []Event{
		{"received", "subject", "the data arrived"},
		{"case.closed", "intake", "a member of staff closed the case, or the request was answered"},
		{"consent.withdrawn", "consent", "the person took their consent back"},
		{"contract.ended", "", "the contract with the customer ended"},
		{"call.ended", "intake", "a member of staff closed the call-back"},
		{"employment.ended", "", "the employment ended"},
		{"subscription.ended", "", "the subscription ended"},
		{"process.ended", "", "the recruitment ended"},
	}
}

// EventNamed returns the event with that name.
func EventNamed(name string) (Event, bool) {
	for _, e := range Events() {
		if e.Name == name {
			return e, true
		}
	}
	return Event{}, false
}

// Executor says which package of this program keeps data of a purpose and
// therefore deletes it when its rule says so.
type Executor struct {
	Package string
	Keeps   string
}

// ExecutorOf returns what executes the retention rules of a purpose by itself:
// a feature that stores data under it. ok is false when the program keeps nothing
// for the purpose; its rules need executor: manual and an owner.
func (p *Plan) ExecutorOf(purpose string) (e Executor, ok bool) {
	for _, f := range p.Forms {
		if f.Purpose == purpose {
			return Executor{"intake", "what is sent through the form " + f.ID}, true
		}
	}
	switch purpose {
	case p.ChoicePurpose():
		return Executor{"consent", "visitors' choices"}, true
	case p.RightsPurpose():
		return Executor{"request", "requests about rights"}, true
	}
	return Executor{}, false
}

// ChoiceCookie is the name of the cookie that holds a visitor's choice;
// PortalCookie opens the page about a person's data.
const (
	ChoiceCookie = "tillid_choice"
	PortalCookie = "tillid_me"
)

// ChoicePurpose returns the purpose under which visitors' choices are kept:
// that of the cookie tillid_choice. "" when it is not declared.
func (p *Plan) ChoicePurpose() string { return p.purposeOfDevice(ChoiceCookie) }

// RightsPurpose returns the purpose under which requests about rights are
// kept: that of the cookie tillid_me. "" when it is not declared.
func (p *Plan) RightsPurpose() string { return p.purposeOfDevice(PortalCookie) }

func (p *Plan) purposeOfDevice(id string) string {
	for i := range p.Device {
		if p.Device[i].ID == id {
			return p.Device[i].Purpose
		}
	}
	return ""
}
