//! The list of clauses, from which come the tests, [`CLAUSES`] and the reference page.

use super::Clause;

/// Every clause of the contract.
pub const CLAUSES: &[Clause] = crate::contract_clauses! { contract_table () };

/// Makes a module of tests, one a clause: `contract_tests!(sqlite, SqliteFixture::new());`
///
/// The expression makes the [`Fixture`](crate::contract::Fixture) of one test, anew for each.
#[macro_export]
macro_rules! contract_tests {
    ($backend:ident, $fixture:expr $(,)?) => {
        $crate::contract_clauses! { contract_modules ($backend, $fixture) }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! contract_modules {
    (($backend:ident, $fixture:expr) $($group:ident {
        $($promise:literal $clause:ident $sentence:literal;)+
    })+) => {
        mod $backend {
            fn clean_store() -> impl $crate::contract::Fixture {
                #[allow(unused_imports)]
                use super::*;
                $fixture
            }
            $(mod $group {
                $(#[test]
                fn $clause() {
                    let fixture = super::clean_store();
                    $crate::contract::block_on($crate::contract::$group::$clause(&fixture));
                })+
            })+
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! contract_table {
    (() $($group:ident { $($promise:literal $clause:ident $sentence:literal;)+ })+) => {
        &[$($($crate::contract::Clause {
            group: stringify!($group),
            name: stringify!($clause),
            promise: $promise,
            sentence: $sentence,
        },)+)+]
    };
}

/// Hands the list to another macro: group, and for each clause the promise, the name, a sentence.
#[doc(hidden)]
#[macro_export]
macro_rules! contract_clauses {
    ($then:ident $with:tt) => { $crate::$then! { $with
        commit {
            1 acknowledged_events_are_read_at_once "What was acknowledged is in the next read.";
            1 acknowledged_commits_survive_reopening "What was acknowledged is there after reopening (where durable).";
            1 several_streams_are_one_commit "Events of several streams are written together, in the order of the commit.";
            1 events_and_records_are_one_commit "Events and records are written together.";
            1 one_conflict_writes_nothing "A conflict on one stream writes no event of another and no record.";
            1 one_failed_condition_writes_nothing "A failed append condition writes no event and no record.";
            1 one_record_conflict_writes_nothing "A conflict on one record writes no event and no other record.";
            4 conflict_names_expected_and_actual "A conflict carries the stream, the expected and the actual version.";
            9 a_refused_commit_leaves_the_store_working "After a conflict the next commit is accepted.";
            1 ten_thousand_events_are_one_commit "A commit of as many events as the limit allows is written, read and repeated.";
            1 a_thousand_streams_are_one_commit "A commit may extend a thousand streams, each with its expected version.";
            1 an_empty_commit_changes_nothing "A commit of nothing is accepted and does nothing.";
            4 a_write_without_events_is_a_condition "A write without events checks its version and answers with what was found.";
            1 readers_never_see_half_a_commit "While others commit, a page holds whole commits only.";
            7 one_commit_may_mix_types_and_codecs "Events of one stream may differ in type and codec.";
        }
        versions {
            2 versions_count_from_one "The versions of a stream are 1, 2, 3 … over commits of any size.";
            2 refused_commits_leave_no_hole "A refused commit uses up no version.";
            2 two_types_may_share_an_id "Two aggregate types with the same id are two streams.";
            2 answered_versions_are_the_last_of_each_write "The answer holds, for each write, the version of its last event.";
            2 events_without_a_stream_have_version_zero "Events that belong to no stream have version 0.";
            2 positions_rise_within_a_commit "Positions rise within a commit, and from one to the next.";
            2 positions_are_unique_for_ever "No position is given twice, not even after a refusal or reopening.";
            4 any_version_always_holds "`Any` holds for every stream.";
            4 no_stream_holds_only_before_the_first_event "`NoStream` holds for a stream without events and for no other.";
            4 stream_exists_holds_only_after_the_first_event "`StreamExists` holds for a stream with events and for no other.";
            4 an_exact_version_holds_only_there "`Exact` holds at this version, not below and not above.";
            4 exact_zero_is_no_stream "`Exact(0)` is the same as `NoStream`.";
            4 a_version_beyond_every_stream_is_a_conflict "Expecting any number up to 2⁶⁴−1 is a conflict, not another error.";
            4 the_first_write_in_conflict_is_named "Of several conflicts, the first in the order of the commit is named.";
        }
        conditions {
            1 an_event_of_the_type_fails_it "A condition fails on an event of the type.";
            1 an_event_with_the_tags_fails_it "A condition fails on an event that has all of the tags.";
            1 an_event_of_the_stream_fails_it "A condition fails on an event of the stream, or of the aggregate type.";
            1 an_event_with_the_id_fails_it "A condition fails on an event with one of the ids.";
            1 an_event_of_the_correlation_fails_it "A condition fails on an event with the correlation id.";
            1 any_item_may_match "A condition fails where any item of its query matches.";
            1 every_part_of_an_item_must_match "An item matches only where each of its parts does.";
            1 a_query_without_items_matches_everything "A condition without items fails on any event.";
            1 after_is_exact "An event at the position `after` does not count, the next one does.";
            1 after_may_lie_anywhere_in_a_stream "Between its events, within a commit and beyond its end, `after` divides a stream exactly.";
            1 after_may_lie_beyond_the_log "A position beyond the log, up to 2⁶⁴−1, is accepted: the condition holds.";
            4 the_lowest_match_is_named "A failed condition names its `after` and the lowest position that matches.";
            1 events_of_the_commit_itself_do_not_count "A condition looks at what was stored before its commit.";
            1 only_the_tenant_of_the_query_counts "A condition looks at the events of its query's tenant.";
            1 all_conditions_must_hold "Of several conditions, one that fails is enough.";
            1 a_condition_may_stand_alone "A commit of conditions alone is judged.";
            4 versions_conditions_records_are_judged_in_this_order "Versions are judged first, then conditions, then records.";
            1 what_was_found_before_is_known_after "A writer that goes on from its own last position is accepted.";
        }
        isolation {
            1 one_of_sixteen_racers_wins_a_version "Of 16 threads that expect the same version, exactly one is accepted.";
            1 one_of_eight_racers_wins_a_condition "Of 8 threads with the same condition, exactly one is accepted.";
            1 one_of_eight_racers_wins_a_record "Of 8 threads that expect a record to be absent, exactly one is accepted.";
            10 a_conflict_fails_only_its_own_commit "Of 64 commits at once, the one in conflict fails and 63 are accepted.";
            10 every_sort_of_refusal_fails_only_its_own_commit "Bad input, known ids, failed conditions and conflicts fail their own commit only.";
            10 callers_of_one_stream_wait_in_turn "64 commits to one stream at once are all accepted, and each answer is its own.";
            10 events_of_one_commit_stay_together "No other commit comes between the events of one commit.";
            10 answers_need_not_be_awaited_in_order "Answers may be awaited in any order.";
            3 a_reader_skips_nothing_while_four_write "A reader that pages while four threads write sees every event once.";
            10 many_threads_share_a_store "Eight threads that share a store see their own writes at once.";
            1 two_handles_are_one_store "Two handles see each other's commits, and race as two threads do (where shared).";
            3 two_handles_skip_nothing "A reader skips nothing while two other handles write (where shared).";
        }
        idempotency {
            5 the_same_commit_gives_the_same_answer "A repeated commit gets the original answer and writes nothing.";
            5 a_stale_expectation_does_not_matter "A repeated commit is recognised although its expected version is stale.";
            5 a_stale_condition_does_not_matter "A repeated commit is recognised although its own events fail its condition.";
            5 a_new_handle_gives_the_same_answer "A repeated commit is recognised by a new handle.";
            5 several_streams_are_repeated_as_one "A commit of several streams is repeated as a whole.";
            5 sixteen_callers_of_one_commit_get_one_answer "One commit sent 16 times at once is written once; all get the same answer.";
            5 sixteen_threads_with_one_commit_get_one_answer "One commit sent by 16 threads is written once; all get the same answer.";
            5 a_repetition_does_not_raise_record_versions "Repeating a commit leaves its records at their versions.";
            5 a_repetition_does_not_undo_later_records "Repeating a commit leaves alone what was written to its records since.";
            5 other_record_changes_are_a_conflict "Stored events with other record changes are refused: they are another commit.";
            5 a_commit_of_records_is_known_by_its_id "A commit without events is recognised by its own id.";
            5 another_order_is_a_conflict "Stored events in another order are refused, and their ids named.";
            5 a_part_of_the_ids_is_a_conflict "Stored ids together with new ones are refused, and the stored ones named.";
            5 a_part_of_a_commit_alone_is_repeated "Ids that are all stored are a repetition, also where the first commit had more.";
            5 stored_ids_are_listed_in_the_order_of_the_commit "The ids that are stored are named in the order of the commit.";
            5 another_payload_is_a_conflict "The same id with another payload is refused.";
            5 another_kind_is_a_conflict "The same id with another type, schema version or codec is refused.";
            5 another_time_is_a_conflict "The same id with another timestamp is refused.";
            5 other_metadata_is_a_conflict "The same id with other metadata is refused.";
            5 another_stream_is_a_conflict "The same id in another stream, or in none, is refused.";
            5 ids_are_unique_across_tenants "The same id for another tenant is refused.";
            5 a_refused_commit_may_be_sent_again "The ids of a refused commit are free.";
            6 a_dropped_answer_is_written_all_the_same "A write whose answer is dropped at once is carried out.";
            6 a_dropped_answer_is_settled_by_repetition "Repeating after a dropped answer writes once, whatever became of the first.";
            6 an_answer_outlives_the_handle "An answer comes also where the handle was dropped first.";
        }
        read {
            3 the_log_is_in_the_order_of_positions "Events are read in the order of their positions.";
            3 backwards_is_the_reverse "Reading backwards gives the same events in reverse.";
            3 an_empty_store_is_at_its_end "An empty store gives an empty last page.";
            3 the_horizon_is_the_end_when_nobody_writes "While nobody writes, readers may read up to the last event, and nobody holds them back.";
            3 every_limit_gives_the_whole "Pages of any size give every event once.";
            3 every_limit_gives_the_whole_backwards "Pages of any size give every event once, backwards too.";
            3 a_page_holds_no_more_than_its_limit "A page holds at most its limit, which is at least 1.";
            3 a_page_holds_no_more_than_the_most "A page holds at most `MAX_PAGE_EVENTS`, whatever was asked for.";
            3 a_page_is_bounded_in_bytes "A page holds at most `MAX_PAGE_BYTES`.";
            3 events_of_any_size_stand_side_by_side "Small and large events come whole and in order, both ways.";
            3 looked_to_is_the_truth "A page holds all that matches up to `looked_to`, and nothing beyond.";
            3 looked_to_is_the_truth_backwards "Backwards, a page holds all that matches down to `looked_to`.";
            3 looked_to_stays_within_the_range "`looked_to` lies within the range, and never beyond the log.";
            3 reading_on_from_the_end_finds_what_comes "Going on from the last `looked_to` finds exactly what was appended since.";
            3 the_end_comes_with_the_last_event_at_the_latest "After the last event the page is empty, the end, and looks no further.";
            3 after_is_excluded_and_until_included "A range begins after `after` and ends with `until`.";
            3 an_empty_range_is_at_its_end "A range that holds no position gives an empty last page.";
            3 versions_bound_a_stream "A range of versions picks that part of a stream.";
            3 positions_bound_a_stream "A range of positions picks that part of a stream, wherever its commits begin and end.";
            3 positions_bound_a_long_stream "The same in a stream of hundreds of commits.";
            3 times_bound_the_log "A range of recorded times picks that part of the log, bounds included.";
            3 times_end_what_was_looked_at "A page at the end of a range of times has not looked beyond it.";
            3 a_rare_event_is_found_in_a_long_log "One match among thousands is found, page by page, both ways.";
        }
        queries {
            3 without_items_it_is_everything "A query without items finds every event of its tenant.";
            3 by_type_of_aggregate "A query finds the events of an aggregate type.";
            3 by_id_of_aggregate "A query finds the events of an aggregate id, of whatever type.";
            3 by_stream "A query finds the events of a stream.";
            3 by_one_of_several_types "A query finds the events of any of its types.";
            3 by_all_of_several_tags "A query finds the events that have all of its tags.";
            3 by_ids_of_events "A query finds the events with any of its ids.";
            3 by_correlation "A query finds a correlation id; a UUID and its text are the same.";
            3 every_part_of_an_item_holds "Each part of an item narrows it.";
            3 an_event_that_several_items_match_comes_once "An event that several items match is found once, in its place.";
            3 a_hundred_items_are_one_query "A query of as many items as allowed is answered.";
            3 events_without_a_stream_are_found_by_type_and_tag "Events without a stream are found by type and tag.";
            3 by_type_of_few_and_of_many_streams "A type is found in however many streams, page by page, both ways.";
            3 a_range_bounds_what_is_found "A range of positions bounds whatever a query finds, both ways.";
            3 partitions_cover_everything_once "The partitions of a query are disjoint, complete, and keep streams whole.";
        }
        streams {
            2 listed_with_version_and_last_position "Streams are listed with their version and last position.";
            2 in_the_order_of_bytes "Streams are listed in the order of (type, id) as bytes.";
            2 every_limit_lists_the_whole "Pages of any size list every stream once.";
            2 the_last_page_has_no_next "The last page of streams says so; a limit of none is one.";
            2 after_need_not_exist "A page may begin after a name that no stream has.";
            2 by_type "Streams are listed by type.";
            2 by_id_of_whatever_type "Streams are listed by id, of whatever type.";
            2 events_without_a_stream_are_not_listed "Events without a stream make no stream.";
            2 a_refused_commit_leaves_no_stream "A stream is there with its first event, not before.";
        }
        tenants {
            1 events_stay_apart "A tenant reads its own events and no others.";
            1 a_known_id_gives_no_access "Knowing an event's id does not show it to another tenant.";
            1 versions_stay_apart "Two tenants may have the same stream; each has its versions.";
            1 streams_stay_apart "A tenant lists its own streams.";
            1 records_stay_apart "Two tenants may have the same record; each has its own.";
            1 deleting_a_record_leaves_the_others "Deleting a tenant's record leaves those of the others.";
            1 events_without_a_stream_stay_apart "A tenant reads its own events without a stream.";
        }
        records {
            7 what_was_put_is_there "A record holds what was put last.";
            7 every_byte_comes_back "A document may hold every byte, or none.";
            7 due_and_index_come_back "Due time and index entries come back, in the order of (name, value), each once.";
            5 a_record_knows_its_commit "A record carries the identity of the commit that wrote it.";
            2 each_change_adds_one_to_the_version "Each change adds one to a record's version, an equal value too.";
            2 versions_never_restart "A record's version goes on after deletion.";
            2 deleting_what_never_was_counts "Deleting what is not there counts as a change.";
            4 any_always_holds "`Any` holds for every record.";
            4 absent_holds_only_where_nothing_is "`Absent` holds for what was never written or is deleted.";
            4 exact_holds_only_there "`Exact` holds at this version of a record that is there.";
            4 exact_never_holds_where_nothing_is "`Exact` never holds for a deleted record, not at 0 either.";
            4 a_deletion_has_conditions_too "A deletion is judged as any change is.";
            4 the_first_record_in_conflict_is_named "A conflict names key, expected and actual; a deleted record's version counts.";
            7 deleted_records_are_hidden "A deleted record is found in no way, and returns without its past.";
            7 spaces_stay_apart "The same key in two spaces is two records.";
            1 a_thousand_changes_are_one_commit "A commit may change as many records as the limit allows, without events.";
        }
        selections {
            7 by_keys_in_their_order "Records are found by keys, each once, in the order of the key.";
            7 by_prefix_in_the_order_of_bytes "Records are found by prefix, in the order of the key as bytes.";
            7 a_prefix_is_taken_literally "A prefix has no wildcards.";
            7 a_prefix_may_end_in_the_last_character "A prefix may end where no next character exists.";
            7 by_an_index_of_integers "An index of integers is sorted by number, bounds included.";
            7 by_an_index_of_reals "An index of reals is sorted by number, bounds included.";
            7 by_an_index_of_texts "An index of texts is sorted by bytes, bounds included.";
            7 integers_before_reals_before_texts "In one index, integers come before reals and reals before texts.";
            7 a_name_may_stand_several_times "A record stands in an index once for each of its values.";
            7 names_of_an_index_are_distinct "Names of indexes are compared as bytes.";
            7 index_entries_follow_the_record "Changing a record replaces its index entries.";
            7 index_entries_go_with_the_record "Deleting a record removes its index entries.";
            7 due_in_the_order_of_time_and_key "Due records come in the order of (time, key), the bound included.";
            7 due_by_the_clock_of_the_store "Without a time, due means by the store's clock.";
            7 due_follows_the_record "Changing a record changes when it is due.";
            7 the_last_page_has_no_next "The last page of records says so; a limit of none is one.";
            7 paging_goes_on_after_what_was_deleted "A page goes on after a record that was deleted meanwhile.";
        }
        fidelity {
            7 every_byte_of_a_payload "A payload may hold every byte.";
            7 an_empty_payload "An empty payload is not the same as a NUL.";
            7 payloads_need_not_be_text "A payload need not be UTF-8.";
            7 payloads_are_not_rewritten "JSON comes back with its white space, numbers and order.";
            7 a_payload_of_the_largest_size "A payload of the largest size comes back.";
            7 times_to_the_microsecond "Timestamps from year 1 to 9999 come back to the microsecond.";
            7 ids_of_every_sort "Any event id but the nil one comes back.";
            7 kinds_of_every_sort "Type, schema version up to 2³²−1 and codec come back.";
            7 recorded_at_never_falls "The recorded time never falls, not even after reopening.";
            7 one_commit_is_recorded_at_one_time "Events of one commit have the same recorded time.";
            7 recorded_at_moves_with_the_clock "The recorded time is the store's clock.";
            7 the_answer_says_what_is_stored "Positions, versions and time of the answer are those of the stored events.";
            7 every_way_of_reading_shows_the_same "A stream's events are the same by stream and in the log.";
            7 reopening_changes_nothing "Everything is equal after reopening (where durable).";
        }
        metadata {
            7 references_stay_text_or_uuid "A reference that reads like a UUID stays the text or the UUID that it was.";
            7 users_are_any_text "A user id is any text.";
            7 headers_keep_their_order "Headers keep their order and their repetitions.";
            7 headers_keep_every_character "Headers keep every character, NUL too.";
            7 tags_come_back_as_given "Tags keep their order and their repetitions.";
            7 tags_are_compared_as_bytes "Tags that look alike are different.";
            7 none_is_the_same_as_empty "No metadata is the same as empty metadata.";
            7 everything_together "All parts of the metadata come back together.";
        }
        names {
            7 case_is_told_apart "Names that differ in case are different.";
            7 normal_forms_are_told_apart "Names in two Unicode normal forms are different.";
            7 patterns_are_taken_literally "Names have no wildcards.";
            7 quotes_are_taken_literally "Names may hold quotes and SQL.";
            7 separators_are_part_of_a_name "No separator joins type and id.";
            7 numbers_are_texts "Names that look like numbers are texts.";
            7 inner_white_space_counts "White space and joiners within a name count.";
            7 every_script_is_a_name "Names may be of any script.";
            7 long_names_are_told_apart_by_the_last_byte "Names of 255 bytes differ by their last byte.";
        }
        signals {
            8 a_commit_wakes_who_waits "A commit wakes a waiting receiver.";
            8 every_receiver_wakes "A commit wakes every receiver.";
            8 a_signal_before_the_wait_is_not_lost "A commit before the wait ends the wait.";
            8 a_commit_through_another_handle_wakes "A commit through another handle, of another process too, wakes (where shared).";
            8 it_tells_the_highest_position "The signal carries the highest position that was committed.";
            8 it_never_falls "Repetitions, refusals and empty commits do not lower it.";
            8 what_was_signalled_can_be_read "Whoever wakes can read up to the signalled position.";
            8 a_subscriber_misses_nothing "Reading and waiting in turn sees every event once.";
            8 closing_wakes_who_waits "Closing the store wakes a waiting receiver.";
        }
        lifecycle {
            1 everybody_who_closes_waits_for_the_end "Closing again, while the first is not done, waits for the writes that have begun, too.";
            9 every_verb_says_closed "After closing, every verb says so.";
            9 closed_comes_before_bad_input "A closed store does not judge its input.";
            6 closing_twice_is_fine "Closing again does nothing.";
            6 closing_from_two_threads_is_fine "Several threads may close at once.";
            6 an_unused_store_closes "A store that nobody used closes, and opens again.";
            6 closing_finishes_what_was_accepted "Every write before the close is answered, and what was accepted is there.";
            6 a_commit_before_the_close_is_accepted "A write that began before the close is carried out.";
            1 reopening_shows_everything "Reopening shows everything and goes on (where durable).";
            1 dropping_without_closing_loses_nothing "A handle that is dropped unclosed loses nothing that was acknowledged.";
            6 answers_need_no_runtime "An answer may be awaited on any thread, without a runtime.";
            9 limits_are_those_of_the_port_or_less "No limit is above that of the port.";
            9 capabilities_outlive_the_close "Capabilities do not change.";
        }
        inputs {
            9 names_of_streams "Bad aggregate types and ids are refused.";
            9 names_of_tenants "Bad tenants are refused.";
            9 names_of_event_types "Bad event types are refused.";
            9 names_of_codecs "Bad codec names are refused.";
            9 names_of_tags "Bad tags are refused.";
            9 references "Bad correlation and causation ids are refused.";
            9 the_nil_event_id "The nil UUID is refused as an event id.";
            9 event_version_zero "Schema version 0 is refused.";
            9 an_event_twice_in_a_commit "The same event id twice in a commit is refused.";
            9 a_stream_twice_in_a_commit "The same stream twice in a commit is refused.";
            9 a_record_twice_in_a_commit "The same record twice in a commit is refused.";
            9 an_expected_version_without_a_stream "An expected version for events without a stream is refused.";
            9 half_a_stream "A stream with a type or an id alone is refused.";
            9 names_of_records "Bad keys and spaces of records are refused.";
            9 entries_of_an_index "Bad names and numbers in an index are refused.";
            9 queries_of_conditions "Bad queries are refused in conditions.";
            9 queries_of_readers "Bad queries are refused by read.";
            9 queries_of_too_many_items "A query of more items than allowed is refused.";
            9 commits_and_queries_without_bound "Conditions, streams without events, terms of a query and keys are bounded.";
            9 selections_of_streams "Bad selections of streams are refused.";
            9 selections_of_records "Bad selections of records are refused.";
            9 names_that_were_allowed_are_looked_for "What has a name that no new one may be is looked for: it can be stored.";
            9 bad_input_comes_before_conflicts "Bad input is named before any conflict with the store.";
        }
        verify {
            7 an_empty_store_is_whole "A check of an empty store finds nothing.";
            7 a_whole_store_has_no_damage "A check of a store that is whole looks at every event, stream and record, and finds nothing.";
            9 a_cursor_of_nobody "A cursor that no check gave is refused.";
        }
        limits {
            9 of_a_payload "A payload may have its limit, not one byte more.";
            9 of_headers "Headers may have their limit, not one byte more.";
            9 of_a_user_id "A user id may have its limit, not one byte more.";
            9 of_the_tags "Tags may have their number, not one more.";
            9 of_a_commits_events "A commit may have its number of events, not one more.";
            9 of_a_commits_records "A commit may have its number of record changes, not one more.";
            9 of_a_commits_bytes "A commit may have its bytes, not one more.";
            9 of_a_commits_headers "Headers count among the bytes of a commit.";
            9 of_a_record "A record may have its limit, not one byte more.";
            9 of_an_index "An index may have its number of entries, not one more.";
            9 of_a_text_in_an_index "A text in an index may have its limit, not one byte more.";
            7 the_largest_metadata_comes_back "User, headers and tags of the largest size come back.";
        }
    } };
}
