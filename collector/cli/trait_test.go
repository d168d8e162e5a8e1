package cli

import (
	"strings"
	"testing"
)

func TestTraitsOfOneAccountAreSetShownAndTakenAway(t *testing.T) {
	dir := ready(t)
	call(t, 0, "account", "import", "--data", dir, file(t, "crm.csv", "key,name,plan,seats\nacme,Acme,Team,90\nbolt,Bolt,Trial,\n"))
	out, _ := call(t, 0, "account", "set", "acme", "Plan=Enterprise = big", " region =DACH", "--data", dir, "-o", "csv")
	if want := "trait,value\nname,Acme\nplan,Enterprise = big\nregion,DACH\nseats,90\n"; out != want {
		t.Errorf("%q", out)
	}
	if out, _ = call(t, 0, "account", "unset", "acme", "seats", "REGION", "--data", dir, "-o", "csv"); out != "trait,value\nname,Acme\nplan,Enterprise = big\n" {
		t.Errorf("%q", out)
	}
	if out, _ = call(t, 0, "account", "set", "acme", "name=Acme Ltd", "--data", dir, "-o", "csv"); !strings.Contains(out, "name,Acme Ltd\n") || !strings.Contains(out, "plan,") {
		t.Errorf("%q", out)
	}
	call(t, 0, "account", "set", "--create", "core", "name=Core", "plan=Trial", "seats=12", "--data", dir)
	if out, _ = call(t, 0, "account", "traits", "--data", dir, "-o", "csv"); out != "trait,accounts,numeric\nplan,3,false\nseats,1,true\n" {
		t.Errorf("%q", out)
	}
	if out, _ = call(t, 0, "account", "list", "--traits", "--data", dir, "-o", "csv"); out != "key,name,installations,reporting,last report,closed,plan,seats\n"+
		"acme,Acme Ltd,0,0,-,false,Enterprise = big,\nbolt,Bolt,0,0,-,false,Trial,\ncore,Core,0,0,-,false,Trial,12\n" {
		t.Errorf("%q", out)
	}
	// What a list shows can be put in again; an empty field says nothing, or that there is none.
	again := file(t, "again.csv", "key,plan,seats\ncore,,\n")
	call(t, 0, "account", "import", "--data", dir, again)
	if out, _ = call(t, 0, "account", "show", "core", "--data", dir); !strings.Contains(out, "Trial") {
		t.Errorf("an empty field took a trait away: %q", out)
	}
	call(t, 0, "account", "import", "--clear", "--data", dir, again)
	if out, _ = call(t, 0, "account", "show", "core", "--data", dir, "-o", "csv"); out != "trait,value\nname,Core\n" {
		t.Errorf("%q", out)
	}
	if out, _ = call(t, 0, "audit", "--data", dir, "-o", "csv"); !strings.Contains(out, "account_unset,acme,\"region, seats\"") || !strings.Contains(out, "account_set,acme,\"plan=Enterprise = big, region=DACH\"") {
		t.Errorf("%q", out)
	}
}

func TestWrongTraitsSayWhatIsWrongAndChangeNothing(t *testing.T) {
	dir := ready(t)
	call(t, 0, "account", "import", "--data", dir, file(t, "crm.csv", "key,name,plan\nacme,Acme,Team\n"))
	for _, x := range []struct {
		exit int
		code string
		says string
		args []string
	}{
		{1, "not_found", "there is no account nobody", []string{"account", "set", "nobody", "plan=A"}},
		{2, "bad_input", "not NAME=VALUE", []string{"account", "set", "acme", "plan"}},
		{2, "bad_input", "account unset", []string{"account", "set", "acme", "plan="}},
		{2, "bad_input", "twice", []string{"account", "set", "acme", "plan=A", "PLAN=B"}},
		{2, "bad_input", "never changes", []string{"account", "set", "acme", "key=other"}},
		{2, "bad_input", "installations", []string{"account", "set", "acme", "environment=test"}},
		{2, "bad_input", "filters compare", []string{"account", "set", "acme", "a>b=c"}},
		{2, "bad_input", "1 to 64 bytes", []string{"account", "set", "acme", strings.Repeat("x", 65) + "=c"}},
		{2, "bad_input", "more than 4096", []string{"account", "set", "acme", "plan=" + strings.Repeat("x", 4097)}},
		{2, "bad_input", "the key is empty", []string{"account", "set", "--create", "a/b", "plan=A"}},
		{1, "not_found", "account unset acme plan", []string{"account", "unset", "acme", "plam"}},
		{1, "not_found", "has no trait zzz", []string{"account", "unset", "acme", "plan", "zzz"}},
		{1, "not_found", "there is no account nobody", []string{"account", "unset", "nobody", "plan"}},
		{1, "not_found", "there is no account nobody", []string{"account", "show", "nobody"}},
		{2, "bad_input", "always has a name", []string{"account", "unset", "acme", "name"}},
		{2, "usage", "", []string{"account", "set", "acme"}},
		{2, "usage", "", []string{"account", "unset", "acme"}},
	} {
		_, stderr := call(t, x.exit, append(x.args, "--data", dir)...)
		if !strings.Contains(stderr, "("+x.code+")") || !strings.Contains(stderr, x.says) || !strings.Contains(stderr, "Try: ") {
			t.Errorf("%q: %s", x.args, stderr)
		}
	}
	if out, _ := call(t, 0, "account", "show", "acme", "--data", dir, "-o", "csv"); out != "trait,value\nname,Acme\nplan,Team\n" {
		t.Errorf("%q", out)
	}
}
