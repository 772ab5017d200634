package report

import (
	"fmt"
	"html"
	"io"
	"strings"
)

// The picture's measures, in pixels, and its colours.
const (
	pictureWidth = 1100
	margin       = 24
	lineHeight   = 22
	barHeight    = 12
	labelsEnd    = 290 // labels are set flush right up to here
	barsStart    = 300
	barsWidth    = 400
	textStart    = barsStart + barsWidth + 16
	mustStart    = textStart + 170
	aimStart     = mustStart + 120
	mostReach    = 2.0 // bars of figures beyond it are cut

	ink, faint, rule = "#1f2933", "#66727f", "#d5dbe1"
	reached, passed  = "#15803d", "#5aa469" // the aim, or only the must
	missed, neutral  = "#c2410c", "#64748b"
)

// WriteSVG draws the headline's rates, and each target as a bar that ends at the line if the figure is what it must be.
func (r Report) WriteSVG(w io.Writer) error {
	var p picture
	p.y = margin
	p.title(fmt.Sprintf("onhand, %d cores, Kafka %s, PostgreSQL %s, durable", r.Conditions.Cores, r.Conditions.Kafka,
		r.Conditions.Postgres["server_version"]))
	for _, workload := range r.Workloads {
		if workload.Name == Reference {
			p.rates(workload)
		}
	}
	p.targets(r.Targets)
	const frame = `<svg xmlns="http://www.w3.org/2000/svg" width="%[1]d" height="%[2]d" viewBox="0 0 %[1]d %[2]d" ` +
		`font-family="system-ui, 'Segoe UI', Helvetica, Arial, sans-serif" font-size="12">` + "\n" +
		"<title>onhand's benchmark</title>\n" + `<rect width="100%%" height="100%%" fill="#ffffff"/>` + "\n%[3]s</svg>\n"
	_, err := fmt.Fprintf(w, frame, pictureWidth, p.y+margin, p.body.String())
	return err
}

// picture is drawn from top to bottom.
type picture struct {
	body strings.Builder
	y    int // of the next line's middle
}

func (p *picture) text(x int, anchor, colour, weight, text string) {
	_, _ = fmt.Fprintf(&p.body, `<text x="%d" y="%d" text-anchor="%s" fill="%s" font-weight="%s">%s</text>`+"\n",
		x, p.y+4, anchor, colour, weight, html.EscapeString(text))
}

func (p *picture) bar(from, to float64, height int, colour string) {
	_, _ = fmt.Fprintf(&p.body, `<rect x="%.1f" y="%.1f" width="%.1f" height="%d" rx="2" fill="%s"/>`+"\n",
		from, float64(p.y)-float64(height)/2, max(to-from, 1), height, colour)
}

func (p *picture) upright(x float64, top, bottom int, colour string, width float64) {
	_, _ = fmt.Fprintf(&p.body, `<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="%s" stroke-width="%.1f"/>`+"\n",
		x, top, x, bottom, colour, width)
}

func (p *picture) title(text string) {
	p.text(margin, "start", ink, "600", text)
	p.y += lineHeight + lineHeight/2
}

// rates draws what everybody does in a second.
func (p *picture) rates(w Workload) {
	p.text(margin, "start", ink, "600", "Headline: records a second")
	p.y += lineHeight
	most := 0.0
	for _, l := range w.Lines {
		most = max(most, l.Figures[rate].Max)
	}
	for _, l := range w.Lines {
		if strings.HasPrefix(l.Name, FloorPrefix) { // the best of them has its bar
			continue
		}
		s := l.Figures[rate]
		colour := neutral
		if l.Name == Onhand {
			colour = reached
		}
		p.text(labelsEnd, "end", ink, "400", l.Name)
		p.bar(barsStart, barsStart+s.Median/max(most, slack)*barsWidth, barHeight, colour)
		p.text(textStart, "start", ink, "400", s.text(0, 1))
		if l.OnhandRatio != nil && l.Name != Onhand {
			p.text(mustStart, "start", faint, "400", "onhand is "+l.OnhandRatio.text(2, 1)+" x")
		}
		p.y += lineHeight
	}
	p.y += lineHeight / 2
}

// targets draws how far along each figure is.
func (p *picture) targets(all []Target) {
	p.text(margin, "start", ink, "600", "What it must reach")
	p.text(place(1), "middle", ink, "600", "must")
	p.text(textStart, "start", faint, "400", "median (min-max)")
	p.text(mustStart, "start", faint, "400", "must")
	p.text(aimStart, "start", faint, "400", "aim")
	p.y += lineHeight
	top, bottom := p.y-lineHeight/2, p.y+len(all)*lineHeight-lineHeight/2
	for _, t := range all {
		p.target(t)
		p.y += lineHeight
	}
	p.upright(float64(place(1)), top, bottom, ink, 1.2)
	p.text(barsStart, "start", faint, "400",
		"right of the line is better; dark green reaches the aim (the small mark); the thin line is min to max")
	p.y += lineHeight / 2
}

func (p *picture) target(t Target) {
	p.text(labelsEnd, "end", ink, "400", t.Figure)
	p.bar(barsStart, barsStart+barsWidth, 1, rule)
	must, aim := t.bounds()
	p.text(mustStart, "start", faint, "400", must)
	p.text(aimStart, "start", faint, "400", aim)
	if t.Measured == nil {
		p.text(textStart, "start", faint, "400", NotMeasured)
		return
	}
	colour := passed
	switch {
	case t.Verdict != OK:
		colour = missed
	case t.Reach() >= t.reach(t.Aim)-slack:
		colour = reached
	}
	p.bar(barsStart, float64(place(t.Reach())), barHeight, colour)
	from, to := t.reach(t.Measured.Min), t.reach(t.Measured.Max)
	if from != to {
		p.bar(float64(place(min(from, to))), float64(place(max(from, to))), 2, ink)
	}
	p.upright(float64(place(t.reach(t.Aim))), p.y-barHeight/2-2, p.y+barHeight/2+2, faint, 2)
	p.text(textStart, "start", ink, "400", t.Measured.text(t.decimals, 1))
}

// place is where a bar ends that reaches so far.
func place(reach float64) int { return barsStart + int(min(reach, mostReach)/mostReach*barsWidth) }
