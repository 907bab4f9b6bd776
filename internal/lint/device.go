package lint

import "github.com/tillid/tillid/internal/policy"

// calledNecessary finds device access and services that say necessary and are not.
func calledNecessary(c *Context, f *found) {
	for i := range c.Device {
		d := &c.Device[i]
		if d.Category != "necessary" {
			continue
		}
		path := "device_access." + d.ID
		switch tracker := c.words.tracker(d.ID); {
		case tracker != "":
			f.at(path, "name", d.ID, "problem", fill(knownTracker, []any{"tracker", tracker}))
		case d.Party != "" && d.Party != "self":
			f.at(path, "name", d.ID, "problem", setByOther)
		case c.onConsent(d.Purpose):
			f.at(path, "name", d.ID, "problem", askedAnyway)
		case len(d.Necessity) == 0:
			f.at(path, "name", d.ID, "problem", necessityUnsaid)
		}
	}
	for i := range c.Services {
		s := &c.Services[i]
		if s.Category != "necessary" {
			continue
		}
		if known := c.words.service(hostsOf(s)); known != nil && known.Tracks {
			f.at("services."+s.ID, "name", s.ID, "problem", fill(knownTracker, []any{"tracker", known.Name}))
		} else if c.onConsent(s.Purpose) {
			f.at("services."+s.ID, "name", s.ID, "problem", askedAnyway)
		}
	}
}

func (c *Context) onConsent(purpose string) bool {
	p := c.Purpose(purpose)
	return p != nil && p.Basis.Consent()
}

// deviceWithoutConsent finds statistics and marketing on another basis than consent.
func deviceWithoutConsent(c *Context, f *found) {
	look := func(path, name, category, purpose string) {
		if (category == "statistics" || category == "marketing") && !c.onConsent(purpose) {
			f.at(path, "name", name, "category", categoryWords(category))
		}
	}
	for _, d := range c.Device {
		look("device_access."+d.ID, d.ID, d.Category, d.Purpose)
	}
	for _, s := range c.Services {
		look("services."+s.ID, s.ID, s.Category, s.Purpose)
	}
}

func cookieIncomplete(c *Context, f *found) {
	for _, d := range c.Device {
		var missing []string
		if !d.Duration.Set {
			missing = append(missing, "duration")
		}
		if d.Party == "" {
			missing = append(missing, "party")
		}
		if d.ThirdParty == nil {
			missing = append(missing, "third_party_access")
		}
		if len(missing) > 0 {
			f.at("device_access."+d.ID, "name", d.ID, "missing", missing)
		}
	}
}

func cookieTooLong(c *Context, f *found) {
	for _, d := range c.Device {
		path := "device_access." + d.ID
		if v, long := c.longer(d.Duration, "max.cookie"); long {
			f.at(path+".duration", "name", d.ID, "problem", fill(longerThan, []any{"has", d.Duration, "limit", v}), "rests", v)
		} else if d.Rolling && d.Category != "necessary" && d.Duration.Set && d.Duration != (policy.Duration{Set: true}) {
			f.at(path, "name", d.ID, "problem", renewsItself)
		}
	}
}

func ungated(c *Context, f *found) {
	for _, s := range c.Services {
		if s.Category != "necessary" && s.Gate != "consent" || s.Gate == "" {
			f.at("services."+s.ID, "service", s.Label)
		}
	}
}

// nothingToAsk says, for every site, that no banner is sent: all that is stored or
// loaded is necessary. What is called necessary and is not, other rules find.
func nothingToAsk(c *Context, f *found) {
	for _, s := range c.Services {
		if s.Gate != "none" || s.Category != "necessary" {
			return
		}
	}
	for _, d := range c.Device {
		if d.Category != "necessary" {
			return
		}
	}
	for _, s := range c.Sites {
		f.at("sites."+s.ID, "site", s.ID)
	}
}
