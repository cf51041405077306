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
            1 acknowledged_events_are_read_at_once "The next read sees every acknowledged event.";
            1 acknowledged_commits_survive_reopening "Acknowledged commits are still there after reopening (where durable).";
            1 several_streams_are_one_commit "Events of several streams are written together, in the order of the commit.";
            1 events_and_records_are_one_commit "Events and records are written together.";
            1 one_conflict_writes_nothing "A conflict on one stream writes no event of another and no record.";
            1 one_failed_condition_writes_nothing "A failed append condition writes no event and no record.";
            1 one_record_conflict_writes_nothing "A conflict on one record writes no event and no other record.";
            4 conflict_names_expected_and_actual "A conflict carries the stream, the expected and the actual version.";
            9 a_refused_commit_leaves_the_store_working "After a conflict the next commit is accepted.";
            1 ten_thousand_events_are_one_commit "A commit of as many events as the limit allows is written, read and repeated.";
            1 a_thousand_streams_are_one_commit "A commit may extend a thousand streams, each with its expected version.";
            1 an_empty_commit_changes_nothing "An empty commit is accepted and changes nothing.";
            4 a_write_without_events_is_a_condition "A write without events checks the version of its stream and answers with the actual one.";
            1 readers_never_see_half_a_commit "While others commit, a page holds only whole commits.";
            7 one_commit_may_mix_types_and_codecs "Events of one stream may differ in type and codec.";
        }
        versions {
            2 versions_count_from_one "The versions of a stream are 1, 2, 3 … over commits of any size.";
            2 refused_commits_leave_no_hole "A refused commit leaves no gap in the versions.";
            2 two_types_may_share_an_id "Two aggregate types with the same id are two streams.";
            2 answered_versions_are_the_last_of_each_write "The answer holds, for each write, the version of its last event.";
            2 events_without_a_stream_have_version_zero "Events that belong to no stream have version 0.";
            2 positions_rise_within_a_commit "Positions rise within a commit, and from one commit to the next.";
            2 positions_are_unique_for_ever "No position is assigned twice, not even after a refusal or reopening.";
            4 any_version_always_holds "`Any` holds for every stream.";
            4 no_stream_holds_only_before_the_first_event "`NoStream` holds for a stream without events and for no other.";
            4 stream_exists_holds_only_after_the_first_event "`StreamExists` holds for a stream with events and for no other.";
            4 an_exact_version_holds_only_there "`Exact(n)` holds for a stream at version n, not below and not above.";
            4 exact_zero_is_no_stream "`Exact(0)` is the same as `NoStream`.";
            4 a_version_beyond_every_stream_is_a_conflict "An expected version above that of every stream, up to 2⁶⁴−1, is a conflict and no other error.";
            4 the_first_write_in_conflict_is_named "Of several conflicts, the error names the first in the order of the commit.";
        }
        conditions {
            1 an_event_of_the_type_fails_it "A condition fails on an event of the type.";
            1 an_event_with_the_tags_fails_it "A condition fails on an event that has all of the tags.";
            1 an_event_of_the_stream_fails_it "A condition fails on an event of the stream, or of the aggregate type.";
            1 an_event_with_the_id_fails_it "A condition fails on an event with one of the ids.";
            1 an_event_of_the_correlation_fails_it "A condition fails on an event with the correlation id.";
            1 an_event_of_the_user_fails_it "A condition fails on an event of the user.";
            1 any_item_may_match "A condition fails if any item of its query matches.";
            1 every_part_of_an_item_must_match "An item matches only if each of its parts matches.";
            1 a_query_without_items_matches_everything "A condition without items fails on any event.";
            1 after_is_exact "An event at the position `after` does not count, but the next one does.";
            1 after_may_lie_anywhere_in_a_stream "`after` divides a stream exactly: between its events, within a commit and beyond its end.";
            1 after_may_lie_beyond_the_log "A position beyond the log, up to 2⁶⁴−1, is accepted: the condition holds.";
            4 the_lowest_match_is_named "A failed condition names its `after` and the lowest position that matches.";
            1 events_of_the_commit_itself_do_not_count "A condition checks only events that were stored before its commit.";
            1 only_the_tenant_of_the_query_counts "A condition checks only events of its query's tenant.";
            1 all_conditions_must_hold "If one of several conditions fails, the commit is refused.";
            1 a_condition_may_stand_alone "A commit may consist of conditions alone, and they are checked.";
            4 versions_conditions_records_are_judged_in_this_order "Versions are checked first, then conditions, then records.";
            1 what_was_found_before_is_known_after "A condition holds for a writer whose `after` is the position of its own last event.";
        }
        isolation {
            1 one_of_sixteen_racers_wins_a_version "Of 16 threads that expect the same version, exactly one is accepted.";
            1 one_of_eight_racers_wins_a_condition "Of 8 threads with the same condition, exactly one is accepted.";
            1 one_of_eight_racers_wins_a_record "Of 8 threads that expect a record to be absent, exactly one is accepted.";
            1 one_of_eight_racers_raises_a_record "Of 8 threads that raise a record to the same bytes, exactly one is accepted.";
            10 a_conflict_fails_only_its_own_commit "Of 64 concurrent commits, the one in conflict fails and 63 are accepted.";
            10 every_sort_of_refusal_fails_only_its_own_commit "Bad input, stored ids, failed conditions and conflicts fail only their own commit.";
            10 callers_of_one_stream_wait_in_turn "64 concurrent commits to one stream are all accepted, and each gets its own answer.";
            10 events_of_one_commit_stay_together "No other commit comes between the events of one commit.";
            10 answers_need_not_be_awaited_in_order "Answers may be awaited in any order.";
            3 a_reader_skips_nothing_while_four_write "A reader that pages while four threads write sees every event once.";
            10 many_threads_share_a_store "Each of eight threads that share a store sees its own writes at once.";
            1 two_handles_are_one_store "Two handles see each other's commits, and of two that race, exactly one is accepted (where shared).";
            3 two_handles_skip_nothing "A reader skips nothing while two other handles write (where shared).";
        }
        idempotency {
            5 the_same_commit_gives_the_same_answer "A repeated commit gets the original answer and writes nothing.";
            5 a_stale_expectation_does_not_matter "A repeated commit is recognised even if its expected version is stale.";
            5 a_stale_condition_does_not_matter "A repeated commit is recognised even if its own events fail its condition.";
            5 a_new_handle_gives_the_same_answer "A repeated commit is recognised by a new handle.";
            5 several_streams_are_repeated_as_one "A commit of several streams is repeated as a whole.";
            5 sixteen_callers_of_one_commit_get_one_answer "One commit sent 16 times at once is written once; all get the same answer.";
            5 sixteen_threads_with_one_commit_get_one_answer "One commit sent by 16 threads is written once; all get the same answer.";
            5 a_repetition_does_not_raise_record_versions "Repeating a commit does not raise the versions of its records.";
            5 a_repetition_does_not_undo_later_records "Repeating a commit does not undo later changes to its records.";
            5 derived_record_changes_are_no_part_of_it "Record changes that are derived from the events are not part of a commit's identity.";
            5 other_record_changes_are_a_conflict "Stored events with different record changes are refused as another commit.";
            5 a_commit_of_records_is_known_by_its_id "A commit without events is recognised by its own id.";
            5 another_order_is_a_conflict "Stored events in a different order are refused, and the error names their ids.";
            5 a_part_of_the_ids_is_a_conflict "Stored ids together with new ones are refused, and the error names the stored ones.";
            5 a_part_of_a_commit_alone_is_repeated "A commit whose ids are all stored is a repetition, even if the first commit had more events.";
            5 stored_ids_are_listed_in_the_order_of_the_commit "The error names the stored ids in the order of the commit.";
            5 another_payload_is_a_conflict "The same id with another payload is refused.";
            5 another_kind_is_a_conflict "The same id with another type, schema version or codec is refused.";
            5 another_time_is_a_conflict "The same id with another timestamp is refused.";
            5 other_metadata_is_a_conflict "The same id with other metadata is refused.";
            5 another_stream_is_a_conflict "The same id in another stream, or in none, is refused.";
            5 ids_are_unique_across_tenants "The same id for another tenant is refused.";
            5 a_refused_commit_may_be_sent_again "The ids of a refused commit may be used again.";
            6 a_dropped_answer_is_written_all_the_same "A write is carried out even if its answer is dropped at once.";
            6 a_dropped_answer_is_settled_by_repetition "A commit that is repeated after its answer was dropped is stored exactly once.";
            6 an_answer_outlives_the_handle "An answer arrives even if the handle is dropped first.";
        }
        read {
            3 the_log_is_in_the_order_of_positions "Events are read in the order of their positions.";
            3 backwards_is_the_reverse "Reading backwards gives the same events in reverse.";
            3 an_empty_store_is_at_its_end "An empty store gives an empty last page.";
            3 the_horizon_is_the_end_when_nobody_writes "While nobody writes, the horizon is at the last event, and no writer holds it back.";
            3 every_limit_gives_the_whole "Pages of any size give every event once.";
            3 every_limit_gives_the_whole_backwards "Pages of any size give every event once when read backwards, too.";
            3 a_page_holds_no_more_than_its_limit "A page holds at most `limit` events; a limit of 0 counts as 1.";
            3 a_page_holds_no_more_than_the_most "A page holds at most `MAX_PAGE_EVENTS` events, whatever its limit.";
            3 a_page_is_bounded_in_bytes "A page holds at most `MAX_PAGE_BYTES`.";
            3 events_of_any_size_stand_side_by_side "Small and large events are read whole and in order, in both directions.";
            3 looked_to_is_the_truth "A page holds every match up to `looked_to`, and none beyond it.";
            3 looked_to_is_the_truth_backwards "Backwards, a page holds every match down to `looked_to`, and none beyond it.";
            3 looked_to_stays_within_the_range "`looked_to` lies within the range, and never beyond the log.";
            3 reading_on_from_the_end_finds_what_comes "Reading after the last `looked_to` finds exactly the matches appended since.";
            3 the_end_comes_with_the_last_event_at_the_latest "A page after the last event is empty and has `end` set, and its `looked_to` stays at that event.";
            3 after_is_excluded_and_until_included "A range excludes `after` and includes `until`.";
            3 an_empty_range_is_at_its_end "A range that contains no position gives an empty last page.";
            3 versions_bound_a_stream "A range of versions selects that part of a stream.";
            3 positions_bound_a_stream "A range of positions selects that part of a stream, wherever its commits begin and end.";
            3 positions_bound_a_long_stream "A range of positions selects that part of a stream of hundreds of commits, too.";
            3 times_bound_the_log "A range of recorded times selects that part of the log, bounds included.";
            3 happened_times_bound_what_is_read "A range of the times when events happened selects those events, bounds included.";
            3 a_count_is_of_what_is_read "A count is that of the events which reading the same query and range gives.";
            3 times_end_what_was_looked_at "`looked_to` never passes the end of a range of recorded times.";
            3 a_rare_event_is_found_in_a_long_log "One match among thousands is found, page by page, in both directions.";
        }
        queries {
            3 without_items_it_is_everything "A query without items finds every event of its tenant.";
            3 by_type_of_aggregate "A query finds the events of an aggregate type.";
            3 by_id_of_aggregate "A query finds the events of an aggregate id, of any type.";
            3 by_stream "A query finds the events of a stream.";
            3 by_one_of_several_types "A query finds the events of any of its types.";
            3 by_all_of_several_tags "A query finds the events that have all of its tags.";
            3 by_ids_of_events "A query finds the events with any of its ids.";
            3 by_user "A query finds the events of a user id, compared as text, however long it is.";
            3 by_correlation "A query finds the events of a correlation id; a UUID and its text count as the same id.";
            3 every_part_of_an_item_holds "Each part of an item narrows the result.";
            3 an_event_that_several_items_match_comes_once "An event that several items match is found once, in the order of positions.";
            3 a_hundred_items_are_one_query "A query of as many items as allowed is answered.";
            3 events_without_a_stream_are_found_by_type_and_tag "Events without a stream are found by type and tag.";
            3 by_type_of_few_and_of_many_streams "An aggregate type of few or of many streams is found, page by page, in both directions.";
            3 a_range_bounds_what_is_found "A range of positions limits what any query finds, in both directions.";
            3 partitions_cover_everything_once "The partitions of a query are disjoint, complete, and keep streams whole.";
        }
        streams {
            2 listed_with_version_and_last_position "Streams are listed with their version and last position.";
            2 in_the_order_of_bytes "Streams are listed in the order of (type, id) as bytes.";
            2 every_limit_lists_the_whole "Pages of any size list every stream once.";
            2 the_last_page_has_no_next "The last page of streams has no `next`; a limit of 0 counts as 1.";
            2 after_need_not_exist "A page may begin after a name that no stream has.";
            2 by_type "Streams are listed by type.";
            2 by_id_of_whatever_type "Streams are listed by id, of any type.";
            2 events_without_a_stream_are_not_listed "Events without a stream add nothing to the list.";
            2 a_refused_commit_leaves_no_stream "A stream exists from its first event on, not before.";
        }
        tenants {
            1 events_stay_apart "A tenant reads its own events and no others.";
            1 a_known_id_gives_no_access "A tenant cannot read another tenant's event, even by its id.";
            1 versions_stay_apart "Two tenants may have the same stream; each has its own versions.";
            1 streams_stay_apart "A tenant lists only its own streams.";
            1 records_stay_apart "Two tenants may have the same record; each has its own.";
            1 deleting_a_record_leaves_the_others "Deleting a tenant's record leaves the records of the other tenants.";
            1 events_without_a_stream_stay_apart "A tenant reads only its own events without a stream.";
            1 usage_is_of_one_tenant "What a tenant has stored is the number of its own events, their bytes, and the streams that have some.";
            1 usage_of_all_is_that_of_each_tenant "Asked of all tenants, it is that of each tenant that has events.";
            3 usage_goes_on_after_a_position "Counted in parts, each event counts once.";
            3 everyone_is_every_tenant "A query of everyone finds what the same query of each tenant finds, in the order of positions.";
            1 a_commit_beyond_a_limit_writes_nothing "A commit that would exceed a tenant's limit is refused with limit, use and request, and writes nothing.";
            5 a_stored_commit_exceeds_no_limit "A repeated commit is answered as ever when its tenant is at its limit.";
            1 what_others_write_counts_towards_a_limit "Near a limit, a commit of another handle counts at once.";
            10 a_limit_holds_for_callers_at_once "Of 32 commits of 16 threads, as many are accepted as the limit allows.";
        }
        records {
            7 what_was_put_is_there "A record holds the value that was put last.";
            7 every_byte_comes_back "A value may contain any byte, or be empty.";
            7 due_and_index_come_back "Due time and index entries come back, the entries in the order of (name, value), each once.";
            5 a_record_knows_its_commit "A record carries the identity of the commit that wrote it.";
            2 each_change_adds_one_to_the_version "Each change adds one to a record's version, even if the value stays the same.";
            2 versions_never_restart "A record's version continues after a deletion.";
            2 deleting_what_never_was_counts "Deleting a record that does not exist counts as a change.";
            4 any_always_holds "`Any` holds for every record.";
            4 absent_holds_only_where_nothing_is "`Absent` holds for a record that was never written or is deleted, and for no other.";
            4 exact_holds_only_there "`Exact(n)` holds for a record that exists and is at version n, and for no other.";
            4 rising_holds_only_below "`Rising` holds for a record that is absent or whose bytes, compared as bytes, are below the new ones; a deletion can't rise.";
            4 rising_holds_against_what_came_just_before "`Rising` sees the commits before it.";
            5 a_repetition_rises_no_more "A repeated commit is recognised even if its record has risen since; the same events with another rising record are another commit, even if its other records are derived.";
            4 a_check_holds_only_there "A check holds for a record that exists and is at its version, and changes nothing.";
            4 a_check_holds_against_what_came_just_before "A check sees the commits before it.";
            5 a_repetition_is_checked_no_more "A repeated commit gives its answer, whatever became of the records that it checked.";
            4 checks_alone_are_a_question "A commit of checks alone changes nothing, and is refused where one does not hold.";
            4 a_commit_checks_no_record_that_it_changes "A commit that checks a record that it changes, or one twice, is refused.";
            4 exact_never_holds_where_nothing_is "`Exact` never holds for a record that was never written or is deleted, not even `Exact(0)`.";
            4 a_deletion_has_conditions_too "A deletion checks its expected version as any change does.";
            4 the_first_record_in_conflict_is_named "A conflict names the key of the first record in conflict, its expected and its actual version; a deleted record keeps its version.";
            7 deleted_records_are_hidden "No selection finds a deleted record; put again, it has no old due time or index entries.";
            7 spaces_stay_apart "The same key in two spaces is two records.";
            2 a_purge_leaves_nothing "A purge removes records of a space in the order of the key, deleted ones and index entries included; their versions begin anew.";
            2 a_purge_is_of_one_tenant "A purge removes no record of another tenant, and says how many it removed.";
            1 many_changes_behind_a_judged_one "A commit of many changes, of which few have an expectation, gives each record its version and its entries, and repeats its answer.";
            1 a_thousand_changes_are_one_commit "A commit may change as many records as the limit allows, without events.";
        }
        selections {
            7 by_keys_in_their_order "Records are found by keys, each once, in the order of the key; backwards as well, without their entries or their bytes as well, and counted, as by every other selection.";
            7 by_prefix_in_the_order_of_bytes "Records are found by prefix, in the order of the key as bytes.";
            7 a_prefix_is_taken_literally "A prefix has no wildcards.";
            7 a_prefix_may_end_in_the_last_character "A prefix may end in a character that has no next one.";
            7 by_an_index_of_integers "An index of integers is sorted by number, bounds included.";
            7 by_an_index_of_reals "An index of reals is sorted by number, bounds included.";
            7 by_an_index_of_texts "An index of texts is sorted by bytes, bounds included.";
            7 integers_before_reals_before_texts "In one index, integers come before reals and reals before texts.";
            7 a_name_may_stand_several_times "A record appears in an index once for each of its values.";
            7 names_of_an_index_are_distinct "Names of indexes are compared as bytes.";
            7 index_entries_follow_the_record "Changing a record replaces its index entries.";
            7 index_entries_go_with_the_record "Deleting a record removes its index entries.";
            7 due_in_the_order_of_time_and_key "Due records are sorted by (time, key), bound included.";
            7 due_by_the_clock_of_the_store "Without a time, a record is due by the store's clock.";
            7 due_follows_the_record "Changing a record changes when it is due.";
            7 the_last_page_has_no_next "The last page of records has no `next`; a limit of 0 counts as 1.";
            7 paging_goes_on_after_what_was_deleted "Paging continues after a record that was deleted in the meantime.";
        }
        statements {
            9 a_store_without_sql_refuses_them "A store without SQL refuses statements, and goes on.";
            1 they_are_carried_out_with_the_commit "Statements are carried out in the commit of their events and records (where sql).";
            1 they_survive_reopening "What statements have written is there after reopening (where sql and durable).";
            1 they_are_carried_out_in_their_order "Statements are carried out in their order (where sql).";
            9 many_are_one_commit "A commit may have as many statements as the limit allows, not one more (where sql).";
            9 they_count_among_the_bytes "Statements and their parameters count among the bytes of a commit (where sql).";
            1 one_that_fails_writes_nothing "A statement that fails refuses its commit as a whole, and the error says which it was (where sql).";
            10 one_that_fails_fails_only_its_own_commit "A statement that fails refuses only its own commit (where sql).";
            1 a_refused_commit_carries_nothing_out "A commit that is refused carries no statement out (where sql).";
            5 a_repetition_carries_nothing_out "A repeated commit carries no statement out again (where sql).";
            5 others_are_another_commit "Stored events with other statements are refused as another commit (where sql).";
            7 values_are_what_they_were "Integers, reals, texts, bytes and NULL are parameters, and arrive as they were (where sql).";
            7 parameters_are_numbered "`$1` is the first parameter wherever it stands, and each must be given (where sql).";
            1 they_make_and_change_tables "Statements make, change and drop tables, and what is refused leaves no table (where sql).";
            9 they_need_an_event_or_a_record "Statements without an event or a record are refused: no repetition would be known (where sql).";
            9 bad_ones_are_refused "An empty statement, a NUL in one and a NaN are refused (where sql).";
            9 none_ends_the_transaction "No statement ends or leaves the transaction, changes settings, or is several (where sql).";
            7 their_commit_may_say_its_time "A commit with statements may say the time at which it is recorded, as may those after it (where sql).";
            9 a_tenant_has_none "A view of a tenant refuses statements (where sql).";
        }
        texts {
            9 a_backend_without_words_refuses_a_search "A record with a text is kept; a search for it finds it, or is refused with `Configuration` by a backend that has no full-text search.";
            7 what_fits_is_found "A search finds the records that hold all words, phrases and beginnings of words of its query, without regard to case and accents; everything else in a query is text (where there is full-text search, here and below).";
            7 the_best_comes_first "What fits best comes first, and what fits as well in the order of the key, on one page.";
            7 words_follow_the_record "Changing a record replaces its words; deleting it removes them.";
            7 words_of_many_changes_behind_a_judged_one "The same in a commit of many changes.";
            7 words_of_spaces_and_tenants_stay_apart "A search finds records of its space and tenant only.";
            7 a_purge_leaves_no_words "A purge removes words, too.";
            7 every_word_of_the_largest_text "Every word and phrase of a text of the largest size is found.";
        }
        fidelity {
            7 every_byte_of_a_payload "A payload may contain any byte.";
            7 an_empty_payload "An empty payload is not the same as a NUL byte.";
            7 payloads_need_not_be_text "A payload need not be UTF-8.";
            7 payloads_are_not_rewritten "JSON comes back with its white space, numbers and order.";
            7 a_payload_of_the_largest_size "A payload of the largest size comes back.";
            7 times_to_the_microsecond "Timestamps from year 1 to 9999 come back to the microsecond.";
            7 ids_of_every_sort "Any event id except the nil UUID comes back.";
            7 kinds_of_every_sort "Type, schema version up to 2³²−1 and codec come back.";
            7 recorded_at_never_falls "The recorded time never falls, not even after reopening.";
            7 one_commit_is_recorded_at_one_time "Events of one commit have the same recorded time.";
            7 recorded_at_moves_with_the_clock "The recorded time is the store's clock.";
            7 a_commit_may_say_its_time "A commit may say the time at which it is recorded, which does not fall either; the next one that says none has the real time.";
            9 a_time_before_1970_is_refused "A commit that is to be recorded before 1970 is refused.";
            7 the_answer_says_what_is_stored "Positions, versions and time of the answer are those of the stored events.";
            7 every_way_of_reading_shows_the_same "A stream's events are the same whether read by stream or from the log.";
            7 reopening_changes_nothing "Everything is the same after reopening (where durable).";
        }
        metadata {
            7 references_stay_text_or_uuid "A reference that looks like a UUID comes back as the text or the UUID that it was.";
            7 users_are_any_text "A user id may be any text.";
            7 headers_keep_their_order "Headers keep their order and their duplicates.";
            7 headers_keep_every_character "Headers keep every character, NUL included.";
            7 tags_come_back_as_given "Tags keep their order and their duplicates.";
            7 tags_are_compared_as_bytes "Tags that look alike but differ in their bytes are different.";
            7 none_is_the_same_as_empty "No metadata is the same as empty metadata.";
            7 everything_together "All parts of the metadata come back together.";
        }
        names {
            7 case_is_told_apart "Names that differ in case are different.";
            7 normal_forms_are_told_apart "Names in two Unicode normal forms are different.";
            7 patterns_are_taken_literally "Names have no wildcards.";
            7 quotes_are_taken_literally "Names may hold quotes and SQL.";
            7 separators_are_part_of_a_name "Types and ids that contain separators are told apart.";
            7 numbers_are_texts "Names that look like numbers are compared as text.";
            7 inner_white_space_counts "White space and joiners within a name are significant.";
            7 every_script_is_a_name "Names may be in any script.";
            7 long_names_are_told_apart_by_the_last_byte "Names of 255 bytes that differ in their last byte are different.";
        }
        signals {
            8 a_commit_wakes_who_waits "A commit wakes a waiting receiver.";
            8 every_receiver_wakes "A commit wakes every receiver.";
            8 a_signal_before_the_wait_is_not_lost "A commit before a receiver begins to wait wakes it, too.";
            8 a_commit_through_another_handle_wakes "A commit through another handle, also of another process, wakes a receiver (where shared).";
            8 it_tells_the_highest_position "The signal carries the highest position that was committed.";
            8 it_never_falls "Repetitions, refusals and empty commits do not lower the signalled position.";
            8 what_was_signalled_can_be_read "A receiver that wakes can read up to the signalled position.";
            8 a_subscriber_misses_nothing "A subscriber that reads and waits in turn sees every event once.";
            8 closing_wakes_who_waits "Closing the store wakes a waiting receiver.";
        }
        lifecycle {
            1 everybody_who_closes_waits_for_the_end "A second close, while the first is not done, also waits for the writes that have begun.";
            9 every_verb_says_closed "After closing, every commit, read, listing, record query, purge and horizon fails with `Closed`.";
            9 closed_comes_before_bad_input "A closed store answers `Closed` before it checks the input.";
            6 closing_twice_is_fine "Closing again does nothing.";
            6 closing_from_two_threads_is_fine "Several threads may close at once.";
            6 an_unused_store_closes "A store that was never used can be closed and opened again.";
            6 closing_finishes_what_was_accepted "Every write before the close is answered, and the accepted ones are stored.";
            6 a_commit_before_the_close_is_accepted "A write that began before the close is carried out.";
            1 reopening_shows_everything "After reopening, everything is there and versions continue (where durable).";
            1 dropping_without_closing_loses_nothing "Dropping a handle without closing it loses nothing that was acknowledged.";
            6 answers_need_no_runtime "An answer may be awaited on any thread, without a runtime.";
            9 limits_are_those_of_the_port_or_less "No limit is above that of the port.";
            9 capabilities_outlive_the_close "Closing does not change the capabilities.";
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
            9 half_a_stream "A stream with only a type or only an id is refused.";
            9 names_of_records "Bad keys and spaces of records are refused.";
            9 entries_of_an_index "Bad names and numbers in an index are refused.";
            9 queries_of_conditions "Bad queries are refused in conditions.";
            9 queries_of_readers "Bad queries are refused by read.";
            9 queries_of_too_many_items "A query of more items than allowed is refused.";
            9 commits_and_queries_without_bound "Too many conditions, streams without events, query terms or keys are refused.";
            9 selections_of_streams "Bad selections of streams are refused.";
            9 selections_of_records "Bad selections of records are refused.";
            9 names_that_were_allowed_are_looked_for "Queries and selections may contain a name that is no longer accepted: it may be stored.";
            9 bad_input_comes_before_conflicts "Bad input is reported before any conflict with the store.";
        }
        verify {
            7 an_empty_store_is_whole "A check of an empty store finds nothing.";
            7 a_whole_store_has_no_damage "A check of an undamaged store covers every event, stream and record, and finds nothing.";
            9 a_cursor_of_nobody "A cursor that no check returned is refused.";
        }
        limits {
            9 of_a_payload "A payload may be as large as its limit, not one byte larger.";
            9 of_headers "Headers may be as large as their limit, not one byte larger.";
            9 of_a_user_id "A user id may be as large as its limit, not one byte larger.";
            9 of_the_tags "An event may have as many tags as the limit allows, not one more.";
            9 of_a_commits_events "A commit may have as many events as the limit allows, not one more.";
            9 of_a_commits_records "A commit may have as many record changes as the limit allows, not one more.";
            9 of_a_commits_bytes "A commit may be as large as its limit, not one byte larger.";
            9 of_a_commits_headers "Headers count among the bytes of a commit.";
            9 of_a_record "A record may be as large as its limit, not one byte larger.";
            9 of_a_records_text "The words of a record may be as large as their limit, not one byte larger.";
            9 of_an_index "A record may have as many index entries as the limit allows, not one more.";
            9 of_a_text_in_an_index "A text in an index may be as large as its limit, not one byte larger.";
            7 the_largest_metadata_comes_back "User, headers and tags of the largest size come back.";
        }
    } };
}
