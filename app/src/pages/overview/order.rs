//! Keeps the rows of a table in the order that is wanted by moving as few of them as can be, some at a
//! frame and from the top. A list that is told of another order moves nearly all of its rows at once, which
//! takes whole frames with hundreds of cells, and what had the focus loses it.

use super::matrix::Row;
use js_sys::{Function, Reflect};
use leptos::{html, prelude::*};
use std::sync::Arc;
use web_sys::{
    Element, HtmlElement, Node,
    wasm_bindgen::{JsCast, JsValue},
};

/// Rows that are moved in a frame: each is laid out and painted anew.
const MOVES_A_FRAME: usize = 4;

/// The rows that are wanted, but those that were there in the order in which they were.
pub(super) fn kept(was: &[Arc<Row>], wanted: &[Arc<Row>]) -> Vec<Arc<Row>> {
    let key = |place: usize| wanted[place].key.as_str();
    let by_key = sorted(wanted.len(), &key);
    let mut is_known = vec![false; wanted.len()];
    let mut known = Vec::new();
    for row in was {
        if let Ok(at) = find(&by_key, &key, &row.key) {
            is_known[by_key[at]] = true;
            known.push(by_key[at]);
        }
    }
    let mut known = known.into_iter();
    let row = |(place, is_known)| if is_known { known.next() } else { Some(place) };
    (0..).zip(is_known).filter_map(row).map(|place| wanted[place].clone()).collect()
}

/// Places in the order of their keys. Put in one by one: what sorts is kilobytes of code.
fn sorted<'a>(count: usize, key: &dyn Fn(usize) -> &'a str) -> Vec<usize> {
    let mut places = Vec::with_capacity(count);
    for place in 0..count {
        let at = find(&places, key, key(place)).unwrap_or_else(|at| at);
        places.insert(at, place);
    }
    places
}

fn find<'a>(places: &[usize], key: &dyn Fn(usize) -> &'a str, wanted: &str) -> Result<usize, usize> {
    places.binary_search_by(|place| key(*place).cmp(wanted))
}

/// Moves rows on the page whenever another order is wanted.
pub(super) fn follow(body: NodeRef<html::Tbody>, wanted: Memo<Vec<Arc<Row>>>) {
    let is_moving = StoredValue::new(false);
    Effect::new(move |is_later: Option<bool>| {
        wanted.track();
        // The rows come in the order that is wanted first.
        if is_later.is_some() && !is_moving.get_value() {
            is_moving.set_value(true);
            request_animation_frame(move || move_some(body, wanted, is_moving));
        }
        true
    });
}

fn move_some(body: NodeRef<html::Tbody>, wanted: Memo<Vec<Arc<Row>>>, is_moving: StoredValue<bool>) {
    let node = body.try_get_untracked().flatten();
    let is_more = node.zip(wanted.try_get_untracked()).is_some_and(|(body, wanted)| arrange(&body, &wanted));
    if is_more {
        request_animation_frame(move || move_some(body, wanted, is_moving));
    } else {
        let _ = is_moving.try_update_value(|is_moving| *is_moving = false);
    }
}

/// Moves some rows; whether there are more to be moved.
fn arrange(body: &Element, wanted: &[Arc<Row>]) -> bool {
    let name = |place: usize| wanted[place].name.as_str();
    let by_name = sorted(wanted.len(), &name);
    let mut there = Vec::new();
    let mut places = Vec::new();
    let mut next = body.first_element_child();
    while let Some(row) = next {
        next = row.next_element_sibling();
        let known = row.get_attribute("data-row");
        let at = known.and_then(|known| find(&by_name, &name, &known).ok());
        if let Some(at) = at {
            places.push(by_name[at]);
            there.push(row);
        }
    }
    let stays = rising(&places);
    let mut at_place = vec![None; wanted.len()];
    for (at, place) in places.iter().enumerate() {
        at_place[*place] = Some(at);
    }
    let mut before: Option<&Element> = None;
    let mut moves = 0;
    for at in at_place.into_iter().flatten() {
        let row = &there[at];
        if !stays[at] {
            if moves == MOVES_A_FRAME {
                return true;
            }
            let next = before.map_or_else(|| body.first_child(), |before| before.next_sibling());
            move_row(body, row, next);
            moves += 1;
        }
        before = Some(row);
    }
    false
}

/// Puts a row where it belongs; what has the focus keeps it.
fn move_row(body: &Element, row: &Element, next: Option<Node>) {
    let moves = Reflect::get(body, &"moveBefore".into()).ok().and_then(|it| it.dyn_into::<Function>().ok());
    if let Some(moves) = moves {
        let _ = moves.call2(body, row, &next.map_or(JsValue::NULL, JsValue::from));
        return;
    }
    let focused = document().active_element();
    let _ = body.insert_before(row, next.as_ref());
    if let Some(focused) = focused.filter(|one| row.contains(Some(one))) {
        let _ = focused.unchecked_into::<HtmlElement>().focus();
    }
}

/// Which of these numbers are part of a longest rising row of them: what need not move.
fn rising(numbers: &[usize]) -> Vec<bool> {
    // For each length, where the row of it with the lowest end ends.
    let mut ends: Vec<usize> = Vec::new();
    let mut before = vec![None; numbers.len()];
    for (at, number) in numbers.iter().enumerate() {
        let length = ends.partition_point(|end| numbers[*end] < *number);
        before[at] = length.checked_sub(1).map(|shorter| ends[shorter]);
        match ends.get_mut(length) {
            Some(end) => *end = at,
            None => ends.push(at),
        }
    }
    let mut is_part = vec![false; numbers.len()];
    let mut last = ends.last().copied();
    while let Some(at) = last {
        is_part[at] = true;
        last = before[at];
    }
    is_part
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(names: &[&str]) -> Vec<Arc<Row>> {
        let row = |name: &&str| Arc::new(Row::named(name));
        names.iter().map(row).collect()
    }

    #[test]
    fn rows_that_are_there_stay_where_they_are_and_new_ones_stand_where_they_belong() {
        let names = |was: &[&str], wanted: &[&str]| -> Vec<String> {
            kept(&rows(was), &rows(wanted)).iter().map(|row| row.name.clone()).collect()
        };
        assert_eq!(names(&[], &["c", "a", "b"]), ["c", "a", "b"]);
        assert_eq!(names(&["a", "b", "c"], &["c", "a", "b"]), ["a", "b", "c"]);
        assert_eq!(names(&["a", "c", "gone"], &["new", "a", "b", "c"]), ["new", "a", "b", "c"]);
    }

    #[test]
    fn as_few_as_can_be_move() {
        let moved = |numbers: &[usize]| rising(numbers).iter().filter(|stays| !**stays).count();
        assert_eq!(moved(&[]), 0);
        assert_eq!(moved(&[0, 1, 2, 3]), 0);
        assert_eq!(moved(&[1, 2, 3, 0]), 1, "one comes first");
        assert_eq!(moved(&[3, 0, 1, 2]), 1, "one comes last");
        assert_eq!(moved(&[3, 2, 1, 0]), 3);
        assert_eq!(rising(&[2, 0, 1, 4, 3]), [false, true, true, false, true]);
    }
}
