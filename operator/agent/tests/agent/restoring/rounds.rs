//! Parts that need what stands behind them in the backup.

use super::*;

/// 5 MB, so that there is much on its way to a tool that does not read on.
const LARGE: &str = "echo \"begin $ITEM\"; seq 1 700000; echo \"end $ITEM\"";

/// Of items that stand in this order. An item is loaded only if the folders that `needs` names for it hold data; otherwise it leaves
/// half of something.
fn needing(items: &[&str], needs: &[(&str, &str)], effect: Effect) -> Restore {
    let lines = items.join("\\n");
    let cases: Vec<_> = needs.iter().map(|(item, other)| format!("{item}) need={other};;")).collect();
    let cases = cases.join(" ");
    let script = format!(
        "echo \"$ITEM\" >> \"$HOME/../loads\"; case \"$ITEM\" in {cases} *) need=;; esac; \
         if [ \"$need\" ] && ! [ -e \"$HOME/../db/$need/data\" ]; then head -c 1000 > \"$HOME/../db/$ITEM/half\"; \
         echo \"ERROR 1146 (42S02) at line 22: Table '$need.t' doesn't exist\" >&2; exit 1; fi; \
         cat > \"$HOME/../db/$ITEM/data\""
    );
    let each = dbbackup_protocol::plan::Part { process: with_item(sh(LARGE)), ..part("") };
    let parts = vec![per_item(&format!("printf '{lines}'"), Separator::Newline, each)];
    Restore::of(parts, loading(&script, effect))
}

fn loads(restore: &Restore) -> Vec<String> {
    let text = fs::read_to_string(restore.pod.path("/run/db-backup/loads")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn what_needs_a_later_part_is_loaded_again_after_it() {
    let restore = needing(&["a", "b", "c", "d"], &[("a", "b"), ("b", "c")], Effect::Gradual);
    let report = restore.succeeds();
    assert_eq!(loads(&restore), ["a", "b", "c", "d", "a", "b", "a"]);
    let restored = report.restored.unwrap();
    assert_eq!((report.parts, restored.target), (4, Target::Complete));
    let again: Vec<_> = restored.notes.iter().filter(|note| note.contains("was loaded again")).collect();
    assert!(again.len() == 2 && again[0].starts_with("dump \"b\" "), "{:?}", restored.notes);
    for item in ["a", "b", "c", "d"] {
        let folder = restore.databases().join(item);
        let data = fs::read_to_string(folder.join("data")).unwrap();
        assert!(data.starts_with(&format!("begin {item}\n1\n")) && data.ends_with(&format!("end {item}\n")));
        assert!(!folder.join("half").exists(), "what it had left is cleared");
        assert_eq!(fs::read_to_string(folder.join("finished")).unwrap(), "counted\n");
    }
}

/// Hours may pass until a part is loaded again, and others work on the server.
#[test]
fn what_was_put_aside_is_cleared_at_once_and_what_others_bring_then_stays() {
    for (mode, stays) in [(Mode::Refuse, true), (Mode::Replace, false)] {
        let mut restore = needing(&["a", "b"], &[("a", "b")], Effect::Gradual);
        restore.order.mode = mode;
        // While b is loaded somebody puts something where a will be.
        let finish = "if [ \"$ITEM\" = b ]; then ls \"$HOME/../db\" \"$HOME/../db/a\" > \"$HOME/../seen\"; \
                      echo mine > \"$HOME/../db/a/orders\"; fi";
        restore.order.plan.parts[0].finish = vec![step("do the rest", finish)];
        if stays {
            let words = ["dump \"a\" holds orders, which this restore did not bring"];
            let (report, _) = restore.fails(Reason::TargetNotEmpty, Target::Incomplete, &words);
            assert_eq!(report.parts, 1);
            assert_eq!(loads(&restore), ["a", "b"]);
        } else {
            restore.succeeds();
            assert_eq!(loads(&restore), ["a", "b", "a"]);
        }
        let seen = fs::read_to_string(restore.pod.path("/run/db-backup/seen")).unwrap();
        assert!(!seen.contains("half"), "{seen}");
        assert_eq!(restore.databases().join("a/orders").exists(), stays);
    }
}

#[test]
fn what_others_bring_before_a_part_is_loaded_stays() {
    let mut restore = needing(&["a", "b"], &[], Effect::Gradual);
    let finish = "mkdir \"$HOME/../db/b\"; echo mine > \"$HOME/../db/b/orders\"";
    restore.order.plan.parts[0].finish = vec![step("do the rest", finish)];
    let words = ["dump \"b\" holds orders, which this restore did not bring"];
    restore.fails(Reason::TargetNotEmpty, Target::Incomplete, &words);
    assert_eq!(loads(&restore), ["a"]);
    assert_eq!(fs::read_to_string(restore.databases().join("b/orders")).unwrap(), "mine\n");
}

#[test]
fn a_load_whose_target_does_not_answer_then_is_not_tried_again() {
    let mut restore = needing(&["a", "b"], &[("a", "b")], Effect::Gradual);
    let listing = "ls -1 \"$HOME/../db\" && ! [ -e \"$HOME/../loads\" ]";
    restore.order.plan.existing = Some(Listing { items: sh(listing), separator: Separator::Newline });
    restore.fails(Reason::LoadFailed, Target::Incomplete, &["dump \"a\" was not restored"]);
    assert_eq!(loads(&restore), ["a"]);
}

/// As MySQL does with `lower_case_table_names`.
#[test]
fn what_is_left_under_another_spelling_of_its_name_is_cleared() {
    let mut restore = needing(&["A", "b"], &[("A", "b")], Effect::Gradual);
    let plan = &mut restore.order.plan.parts[0];
    let lower = "ITEM=$(echo \"$ITEM\" | tr A-Z a-z); ";
    let create = "! [ -e \"$HOME/../db/$ITEM\" ] && mkdir \"$HOME/../db/$ITEM\"";
    plan.create = vec![step("make the folder", &format!("{lower}{create}"))];
    plan.clear = vec![step("drop the folder", &format!("{lower}rm -r \"$HOME/../db/$ITEM\""))];
    plan.contents = Some(with_item(sh(&format!("{lower}ls \"$HOME/../db/$ITEM\""))));
    plan.finish.clear();
    let script = "ITEM=$(echo \"$ITEM\" | tr A-Z a-z); echo \"$ITEM\" >> \"$HOME/../loads\"; \
                  if [ \"$ITEM\" = a ] && ! [ -e \"$HOME/../db/b/data\" ]; then head -c 1000 > \"$HOME/../db/a/half\"; exit 1; fi; \
                  cat > \"$HOME/../db/$ITEM/data\"";
    plan.load.process = with_item(sh(script));
    restore.succeeds();
    assert_eq!(loads(&restore), ["a", "b", "a"]);
    assert!(restore.databases().join("a/data").exists() && !restore.databases().join("a/half").exists());
}

#[test]
fn what_nothing_helps_fails_as_soon_as_a_round_brings_nothing() {
    let restore = needing(&["a", "b", "c", "d"], &[("a", "x"), ("b", "c"), ("c", "a")], Effect::Gradual);
    let words = [
        "dump \"a\" was not restored: sh exited with 1",
        "doesn't exist",
        "; 2 more could not be loaded either",
    ];
    let (report, _) = restore.fails(Reason::LoadFailed, Target::Incomplete, &words);
    assert_eq!((report.parts, report.process.unwrap().exit_code), (1, Some(1)));
    assert_eq!(loads(&restore), ["a", "b", "c", "d", "a", "b", "c"]);
    // Nothing has come since the last one failed.
    let restore = needing(&["a", "b"], &[("b", "x")], Effect::Gradual);
    restore.fails(Reason::LoadFailed, Target::Incomplete, &["dump \"b\""]);
    assert_eq!(loads(&restore), ["a", "b"]);
}

#[test]
fn what_has_another_cause_fails_at_once() {
    let needs = [("a", "b")];
    // One transaction leaves nothing, and who uses one has no such order.
    let restore = needing(&["a", "b"], &needs, Effect::AtEnd);
    restore.fails(Reason::LoadFailed, Target::Unchanged, &["dump \"a\""]);
    assert_eq!(loads(&restore), ["a"]);
    let mut restore = needing(&["a", "b"], &needs, Effect::Gradual);
    restore.order.plan.parts[0].clear.clear();
    restore.fails(Reason::LoadFailed, Target::Incomplete, &["dump \"a\""]);
    assert_eq!(loads(&restore), ["a"]);
    let mut restore = needing(&["a", "b"], &needs, Effect::Gradual);
    restore.order.plan.parts[0].load.process =
        with_item(sh("echo \"$ITEM\" >> \"$HOME/../loads\"; head -c 1000 > /dev/null; kill -9 $$"));
    restore.fails(Reason::LoadKilled, Target::Incomplete, &["dump \"a\""]);
    assert_eq!(loads(&restore), ["a"]);
}

#[test]
fn a_hundred_are_put_aside_and_no_more() {
    let items: Vec<_> = (0..103).map(|n| format!("i{n:03}")).collect();
    let items: Vec<&str> = items.iter().map(String::as_str).collect();
    let needs: Vec<_> = items.iter().map(|item| (*item, "x")).collect();
    let mut restore = needing(&items, &needs, Effect::Gradual);
    restore.order.limits.deadline_seconds = 300;
    restore.fails(Reason::LoadFailed, Target::Incomplete, &["dump \"i100\""]);
    assert_eq!(loads(&restore).len(), 101);
}

/// It may have done all that it does.
#[test]
fn a_tool_that_is_content_before_it_has_everything_may_have_committed() {
    let large = dbbackup_protocol::plan::Part { process: with_item(sh(LARGE)), ..part("") };
    for effect in [Effect::AtEnd, Effect::Gradual] {
        let parts = vec![per_item("echo shop", Separator::Newline, large.clone())];
        let restore = Restore::of(parts, loading("head -c 1000 > \"$HOME/../db/$ITEM/data\"", effect));
        restore.fails(Reason::LoadIncomplete, Target::Incomplete, &["had not read everything"]);
    }
}
