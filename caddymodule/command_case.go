package caddymodule

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/wxrelay/wxrelay/relay"
)

// maxAdminAnswer bounds what a command reads of an answer.
const maxAdminAnswer = 8 << 20

// caseCommand is `caddy wxrelay case`.
func caseCommand() *cobra.Command {
	var flags adminFlags
	cmd := &cobra.Command{Use: "case", Short: "Shows and resolves anomalies that hold money"}
	flags.register(cmd)
	cmd.AddCommand(caseListCommand(&flags), caseShowCommand(&flags), caseResolveCommand(&flags))
	return cmd
}

func caseListCommand(flags *adminFlags) *cobra.Command {
	var status string
	cmd := &cobra.Command{
		Use: "list [--status held|refunding|refunded|resolved]", Short: "Lists anomalies, oldest payment first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cases, err := flags.allCases(status)
			if err != nil {
				return err
			}
			if flags.json {
				return showJSON(cmd.OutOrStdout(), caseList{Cases: cases})
			}
			return showCases(cmd.OutOrStdout(), cases)
		},
	}
	cmd.Flags().StringVar(&status, "status", "", "Only those in one state: held, refunding, refunded or resolved")
	return cmd
}

func caseShowCommand(flags *adminFlags) *cobra.Command {
	return &cobra.Command{
		Use: "show ID", Short: "Shows one anomaly", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var c relay.CaseRecord
			if err := flags.call(http.MethodGet, "/wxrelay/cases/"+url.PathEscape(args[0]), nil, &c); err != nil {
				return err
			}
			return flags.showCase(cmd.OutOrStdout(), &c)
		},
	}
}

func caseResolveCommand(flags *adminFlags) *cobra.Command {
	var decision caseDecision
	var action string
	cmd := &cobra.Command{
		Use: "resolve ID --action refund|dismiss|accept --reason TEXT", Short: "Decides what becomes of held money", Args: cobra.ExactArgs(1),
		Long: `
Decides what becomes of the money of a held case:
  refund   gives it back to the buyer now
  dismiss  ends the case; the money stays and was seen to elsewhere
  accept   takes money that came after the close as the payment of its order
The client is told by order.anomaly.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			decision.Action = relay.CaseAction(action)
			if decision.By == "" {
				decision.By = operator()
			}
			var c relay.CaseRecord
			if err := flags.call(http.MethodPost, "/wxrelay/cases/"+url.PathEscape(args[0])+"/resolve", decision, &c); err != nil {
				return err
			}
			return flags.showCase(cmd.OutOrStdout(), &c)
		},
	}
	cmd.Flags().StringVar(&action, "action", "", "refund, dismiss or accept (required)")
	cmd.Flags().StringVar(&decision.Reason, "reason", "", "Why, for the record and the client (required)")
	cmd.Flags().StringVar(&decision.By, "by", "", "Who decides; the user of this shell if left out")
	_ = cmd.MarkFlagRequired("action") // fails on a flag that is not there alone
	_ = cmd.MarkFlagRequired("reason")
	return cmd
}

// allCases reads the whole list, page by page.
func (f *adminFlags) allCases(status string) ([]relay.CaseRecord, error) {
	cases := []relay.CaseRecord{}
	query := url.Values{"limit": {"200"}}
	if status != "" {
		query.Set("status", status)
	}
	for {
		var page caseList
		if err := f.call(http.MethodGet, "/wxrelay/cases?"+query.Encode(), nil, &page); err != nil {
			return nil, err
		}
		cases = append(cases, page.Cases...)
		if !page.HasMore {
			return cases, nil
		}
		query.Set("after", page.Next)
	}
}

// call asks the admin endpoint and decodes its answer.
func (f *adminFlags) call(method, uri string, body, answer any) error {
	address, err := caddycmd.DetermineAdminAPIAddress(f.address, nil, f.config, f.adapter)
	if err != nil {
		return fmt.Errorf("finding the admin endpoint: %w", err)
	}
	var sent io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		sent = bytes.NewReader(text)
	}
	res, err := caddycmd.AdminAPIRequest(address, method, uri, nil, sent)
	if err != nil {
		return fmt.Errorf("asking the relay at %s: %w", address, err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(io.LimitReader(res.Body, maxAdminAnswer)).Decode(answer); err != nil {
		return fmt.Errorf("reading the answer of %s: %w", address, err)
	}
	return nil
}

func showJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

func showCases(w io.Writer, cases []relay.CaseRecord) error {
	table := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "ID\tKIND\tSTATUS\tYUAN\tPAID\tCLIENT\tORDER") // Flush reports
	for i := range cases {
		c := &cases[i]
		_, _ = fmt.Fprintln(table, strings.Join([]string{
			c.ID, string(c.Kind), string(c.Status), money(c.Amount, c.Currency), c.PaidAt, dash(c.ClientID), dash(c.OrderNo),
		}, "\t"))
	}
	return table.Flush()
}

func (f *adminFlags) showCase(w io.Writer, c *relay.CaseRecord) error {
	if f.json {
		return showJSON(w, c)
	}
	table := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for _, line := range [][2]string{
		{"id", c.ID},
		{"kind", string(c.Kind)},
		{"status", string(c.Status)},
		{"amount", money(c.Amount, c.Currency)},
		{"order asks", money(c.ExpectedAmount, c.Currency)},
		{"client", c.ClientID},
		{"order", c.OrderNo},
		{"merchant", c.MchID},
		{"out_trade_no", c.OutTradeNo},
		{"transaction", c.TransactionID},
		{"paid at", c.PaidAt},
		{"found at", c.CreatedAt},
		{"policy", string(c.Policy)},
		{"held because", c.HeldBecause},
		{"refund", c.OutRefundNo},
		{"resolved at", c.ResolvedAt},
		{"resolved by", c.ResolvedBy},
		{"reason", c.Reason},
	} {
		if line[1] != "" {
			_, _ = fmt.Fprintln(table, line[0]+"\t"+line[1])
		}
	}
	return table.Flush()
}

// money writes fen as yuan, or as units of another currency.
func money(fen int64, currency string) string {
	if fen == 0 {
		return ""
	}
	text := strconv.FormatInt(fen/100, 10) + "." + fmt.Sprintf("%02d", fen%100)
	if currency != relay.Currency {
		text += " " + currency
	}
	return text
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
