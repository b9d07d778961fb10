use super::*;

type Outcome = Result<(), Box<dyn std::error::Error>>;

const HOME: &str = "/home/of/a/peer";

fn of(text: &str, environment: &[(&str, &str)], flags: &[(&str, &str)]) -> Result<Loaded, ErrorView> {
    let look =
        |name: &str| environment.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
    let flags: Vec<_> = flags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    load_from(Path::new(HOME), Path::new("config.toml"), text, &look, &flags)
}

fn setting<'a>(loaded: &'a Loaded, key: &str) -> (&'a str, &'a str) {
    let setting = loaded.settings.iter().find(|setting| setting.key == key).expect("a key");
    (&setting.value, &setting.origin)
}

#[test]
fn flags_win_over_the_environment_over_the_file_over_the_defaults() -> Outcome {
    let file = "p0 = 3\n[policy]\nx0 = 7\n";
    let none = of("", &[], &[])?;
    assert_eq!((none.config.p0, setting(&none, "p0")), (10, ("10", "default")));
    let filed = of(file, &[], &[])?;
    assert_eq!((filed.config.p0, filed.config.policy.x0, setting(&filed, "p0")), (3, 7, ("3", "file")));
    let variable = of(file, &[("NETPAY_P0", "4"), ("NETPAY_POLICY_X0", "8")], &[])?;
    assert_eq!((variable.config.p0, variable.config.policy.x0), (4, 8));
    assert_eq!(setting(&variable, "policy.x0"), ("8", "env NETPAY_POLICY_X0"));
    let flag = of(file, &[("NETPAY_P0", "4")], &[("p0", "5")])?;
    assert_eq!((flag.config.p0, setting(&flag, "p0")), (5, ("5", "flag")));
    Ok(())
}

#[test]
fn an_unknown_key_is_refused_with_the_one_that_was_meant() {
    let fix = |text: &str| of(text, &[], &[]).expect_err("refused");
    assert_eq!(fix("nmae = 'x'").fix, "did you mean \"name\"?");
    assert_eq!(fix("[policy]\nxtotal = 1").fix, "did you mean \"policy.x_total\"?");
    assert_eq!(fix("x0 = 1").fix, "did you mean \"policy.x0\"?");
    assert_eq!(fix("[api]\nlistne = '127.0.0.1:1'").fix, "did you mean \"api.listen\"?");
    let strange = fix("frobnicate = 1");
    assert_eq!((strange.code.as_str(), strange.exit), ("NP-CONFIG-002", 9));
    assert!(strange.fix.contains("config show"), "{}", strange.fix);
    assert!(of("", &[], &[("nmae", "x")]).is_err());
}

#[test]
fn values_out_of_range_are_refused() {
    for text in [
        "p0 = 0",
        "p0 = -1",
        "p0 = 1.5",
        "name = ''",
        "local = 'maybe'",
        "listen = ['nowhere']",
        "listen = [1]",
        "[redeem]\nhour = 24",
        "broker = 'https://example.org'",
        "[api]\nlisten = 'localhost'",
        "log = 'a=b=c'",
    ] {
        assert_eq!(of(text, &[], &[]).expect_err(text).code, "NP-CONFIG-003", "{text}");
    }
    assert_eq!(of("name = ", &[], &[]).expect_err("no TOML").code, "NP-CONFIG-001");
}

#[test]
fn a_new_file_sets_what_is_given_and_explains_the_rest() -> Outcome {
    let set = [("name".to_owned(), "a \"b\"".to_owned()), ("redeem.hour".to_owned(), "3".to_owned())];
    let text = document(Path::new(HOME), &set);
    let loaded = of(&text, &[], &[])?;
    assert_eq!((loaded.config.name.as_str(), loaded.config.redeem.hour), ("a \"b\"", 3));
    assert_eq!(loaded.settings.iter().filter(|setting| setting.origin == "file").count(), 2);
    let uncommented = text.replace("\n# name", "\nname").lines().fold(String::new(), |all, line| {
        let line = line.strip_prefix("# ").filter(|rest| rest.contains(" = ")).unwrap_or(line);
        all + line + "\n"
    });
    // The broker alone has no default.
    let uncommented = uncommented.replace("broker = \"\"", "");
    assert_eq!(of(&uncommented, &[], &[])?.settings.iter().filter(|s| s.origin == "default").count(), 1);
    Ok(())
}

#[test]
fn setting_a_key_leaves_the_rest_of_the_file_alone() -> Outcome {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("config.toml");
    std::fs::write(&path, "# mine\nname = \"a\" # why\n\n[policy]\nx0 = 1\n\n# the end\n")?;
    let home = Path::new(HOME);
    set(home, &path, "policy.x_total", "9")?;
    set(home, &path, "policy.x0", "2")?;
    set(home, &path, "redeem.daily", "off")?;
    set(home, &path, "listen", "/ip4/0.0.0.0/tcp/1, /ip4/0.0.0.0/tcp/2")?;
    unset(&path, "name")?;
    let text = std::fs::read_to_string(&path)?;
    assert!(text.contains("# mine\n") && text.contains("# the end\n"), "{text}");
    let loaded = of(&text, &[], &[])?;
    let config = &loaded.config;
    assert_eq!((config.policy, config.redeem.daily), (Policy { x0: 2, x_total: 9 }, false));
    assert_eq!((config.name.as_str(), config.listen.len()), ("peer", 2));
    Ok(())
}

#[test]
fn a_file_that_lines_do_not_describe_is_not_touched() -> Outcome {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("config.toml");
    let text = "listen = [\n  \"/ip4/0.0.0.0/tcp/1\",\n]\npolicy = { x0 = 1 }\n";
    std::fs::write(&path, text)?;
    let home = Path::new(HOME);
    assert_eq!(set(home, &path, "listen", "/ip4/0.0.0.0/tcp/2").expect_err("lines").code, "NP-CONFIG-001");
    assert_eq!(set(home, &path, "policy.x0", "2").expect_err("inline").code, "NP-CONFIG-001");
    assert_eq!(set(home, &path, "nmae", "x").expect_err("unknown").code, "NP-CONFIG-002");
    assert_eq!(std::fs::read_to_string(&path)?, text);
    Ok(())
}

#[test]
fn a_new_setting_goes_where_its_comment_is() -> Outcome {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("config.toml");
    std::fs::write(&path, document(Path::new(HOME), &[]))?;
    set(Path::new(HOME), &path, "p0", "4")?;
    let text = std::fs::read_to_string(&path)?;
    assert!(text.contains("# p0 = 10\np0 = 4\n"), "{text}");
    assert_eq!(of(&text, &[], &[])?.config.p0, 4);
    Ok(())
}
