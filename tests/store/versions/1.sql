pragma application_id = 1280461127;
pragma user_version = 1;
BEGIN TRANSACTION;
CREATE TABLE looprig_part (
            run_id bigint not null references looprig_run (id),
            number integer not null,
            scenario text not null,
            loop text not null,
            record text not null,
            digest text not null,
            primary key (run_id, number)
        );
INSERT INTO "looprig_part" VALUES(1,0,'scenario_0','reference','{"scenario":"scenario_0","loop":"reference","setup":"seed 1","seeds":[1],"params":{"turns":10},"samples":[{"metric":"metric_0","value":0.13436424411240122,"unit":"us","values":[0.8474337369372327,0.763774618976614]},{"metric":"metric_1","value":0.2550690257394217,"unit":"us","values":[0.49543508709194095,0.4494910647887381]},{"metric":"metric_2","value":0.651592972722763,"unit":"us","values":[0.7887233511355132,0.0938595867742349]},{"metric":"metric_3","value":0.02834747652200631,"unit":"us","values":[0.8357651039198697,0.43276706790505337]}],"judged":12,"digests":["c4647159c324c985"]}','e1b4a457e82f530d9d5e1baf75dcbc3d');
INSERT INTO "looprig_part" VALUES(1,1,'scenario_1','reference','{"scenario":"scenario_1","loop":"reference","setup":"seed 1","seeds":[1],"params":{"turns":10},"samples":[{"metric":"metric_0","value":0.0021060533511106927,"unit":"us","values":[0.4453871940548014,0.7215400323407826]},{"metric":"metric_1","value":0.22876222127045265,"unit":"us","values":[0.9452706955539223,0.9014274576114836]},{"metric":"metric_2","value":0.030589983033553536,"unit":"us","values":[0.0254458609934608,0.5414124727934966]},{"metric":"metric_3","value":0.9391491627785106,"unit":"us","values":[0.38120423768821243,0.21659939713061338]}],"judged":12,"digests":["b9d179e06c0fd4f5"]}','be94e7a4d5ff27eec0b2817f3899dabc');
INSERT INTO "looprig_part" VALUES(1,2,'scenario_2','reference','{"scenario":"scenario_2","loop":"reference","setup":"seed 1","seeds":[1],"params":{"turns":10},"samples":[{"metric":"metric_0","value":0.029040787574867943,"unit":"us","values":[0.22169166627303505,0.43788759365057206]},{"metric":"metric_1","value":0.49581224138185065,"unit":"us","values":[0.23308445025757263,0.2308665415409843]},{"metric":"metric_2","value":0.2187810373376886,"unit":"us","values":[0.4596034657377336,0.28978161459048557]},{"metric":"metric_3","value":0.021489705265908876,"unit":"us","values":[0.8375779756625729,0.5564543226524334]}],"judged":12,"digests":["19999e3fa46d6753"]}','7f674acbe4f4ed6f676e101423659618');
INSERT INTO "looprig_part" VALUES(2,0,'scenario_0','reference','{"scenario":"scenario_0","loop":"reference","setup":"seed 1","seeds":[1],"params":{"turns":10},"samples":[{"metric":"metric_0","value":0.9560342718892494,"unit":"us","values":[0.9478274870593494,0.05655136772680869]},{"metric":"metric_1","value":0.08487199515892163,"unit":"us","values":[0.8354988781294496,0.7359699890685233]},{"metric":"metric_2","value":0.6697304014402209,"unit":"us","values":[0.3081364575891442,0.6059441656784624]},{"metric":"metric_3","value":0.6068017336408379,"unit":"us","values":[0.5812040171120031,0.15838287025480557]}],"judged":12,"digests":["a372db8f6e405d93"]}','06c1265001dcd0f983978137508d5de0');
INSERT INTO "looprig_part" VALUES(2,1,'scenario_1','reference','{"scenario":"scenario_1","loop":"reference","setup":"seed 1","seeds":[1],"params":{"turns":10},"samples":[{"metric":"metric_0","value":0.39353182020537136,"unit":"us","values":[0.7230120812374659,0.9948195629497427]},{"metric":"metric_1","value":0.9493954730932436,"unit":"us","values":[0.5441770474293208,0.4448541887258536]},{"metric":"metric_2","value":0.2682407416493281,"unit":"us","values":[0.03592432939285761,0.027444857090819008]},{"metric":"metric_3","value":0.4648938620973121,"unit":"us","values":[0.3184651278536774,0.3800149219007116]}],"judged":12,"digests":["e2520e33e44c5055"]}','c2bd88c986418b243da38a805f59226b');
INSERT INTO "looprig_part" VALUES(2,2,'scenario_2','reference','{"scenario":"scenario_2","loop":"reference","setup":"seed 1","seeds":[1],"params":{"turns":10},"samples":[{"metric":"metric_0","value":0.5257527691460283,"unit":"us","values":[0.5605103610264989,0.23612340711506208]},{"metric":"metric_1","value":0.023858079140782196,"unit":"us","values":[0.32514292876116,0.13669739298646666]},{"metric":"metric_2","value":0.5102238458372012,"unit":"us","values":[0.998683568192552,0.6744796973458701]},{"metric":"metric_3","value":0.18184349682314438,"unit":"us","values":[0.8935715365829885,0.7967599214216395]}],"judged":12,"digests":["867e5e15bc01bfce"]}','e7800ee18ac870507e88832fce607cf2');
CREATE TABLE looprig_run (
            id integer primary key autoincrement,
            at text not null,
            kind text not null,
            verdict text not null,
            revision text,
            dirty integer,
            machine text not null,
            parts integer not null,
            record text not null,
            digest text not null
        );
INSERT INTO "looprig_run" VALUES(1,'2026-01-02T00:00:01Z','run','passed','0000000000000000000000000000000000000001',1,'CPython 3.11, Linux, 2 cores',3,'{"kind":"run","at":"2026-01-02T00:00:01Z","verdict":"passed","command":"looprig run --seed 1","revision":"0000000000000000000000000000000000000001","dirty":true,"machine":{"python":"3.11.7","implementation":"CPython","system":"Linux","cores":2},"versions":{"looprig":"0.1.0","faker":"40.1.0"}}','4f90550935e0668db3a10ad2b43310af');
INSERT INTO "looprig_run" VALUES(2,'2026-01-03T00:00:02Z','run','passed','0000000000000000000000000000000000000002',0,'CPython 3.11, Linux, 2 cores',3,'{"kind":"run","at":"2026-01-03T00:00:02Z","verdict":"passed","command":"looprig run --seed 2","revision":"0000000000000000000000000000000000000002","dirty":false,"machine":{"python":"3.11.7","implementation":"CPython","system":"Linux","cores":2},"versions":{"looprig":"0.1.0","faker":"40.1.0"}}','1d4d4577405c04c381c7bb73f2d944e8');
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('looprig_run',2);
COMMIT;
